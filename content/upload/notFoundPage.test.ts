// @vitest-environment node
// The 404 document is not built, so nothing but this would notice a style that its own policy forbids.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const html = readFileSync(new URL('../public/404.html', import.meta.url), 'utf8')

it('the 404 document allows its own style, and nothing else to run', () => {
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? ''
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]
  const hash = createHash('sha256').update(style).digest('base64')
  expect(policy).toContain('default-src \'none\';')
  expect(policy).toContain(`style-src 'sha256-${hash}';`)
  expect(html).not.toContain('<script')
})

it('the 404 document leads home from any depth', () => {
  const addresses = Array.from(html.matchAll(/(?:href|src)="([^"]*)"/g), match => match[1])
  expect(addresses).toContain('/')
  for (const address of addresses) expect(address).toMatch(/^\//)
})
