// Looks for violations of accessibility with axe-core.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Fails if axe-core finds a violation in what `page` shows now. `state` names it. */
export async function hasNoAxeViolations(page, state) {
  // Code from the DevTools protocol runs although the page's Content-Security-Policy forbids other scripts.
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axe)
  // During an animation the colours are others.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(animation => animation.finished)))
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const found = violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`) }))
  assert.deepEqual(found, [], state)
}
