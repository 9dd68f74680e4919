// @vitest-environment node
// Tests of public/404.html, which is not built: its policy must allow its style.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const html = readFileSync(new URL('../public/404.html', import.meta.url), 'utf8')

it('the policy of the 404 page allows its style and no scripts', () => {
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? ''
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]
  const hash = createHash('sha256').update(style).digest('base64')
  expect(policy).toContain('default-src \'none\';')
  expect(policy).toContain(`style-src 'sha256-${hash}';`)
  expect(html).not.toContain('<script')
})

it('all links of the 404 page work at any depth', () => {
  const addresses = Array.from(html.matchAll(/(?:href|src)="([^"]*)"/g), match => match[1])
  expect(addresses).toContain('/')
  for (const address of addresses) expect(address).toMatch(/^\//)
})
