// Browser tests of accessibility: axe-core finds nothing in any state of the page, light and dark, on a large screen and on a small phone;
// nothing scrolls sideways there, and the messages have most of the height.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasNoAxeViolations } from './accessibility.mjs'
import { useBrowser } from './chat-user.mjs'
import { visitStates } from './page-states.mjs'

const browser = useBrowser()
const SCREENS = {
  'a large screen': { viewport: { width: 1280, height: 800 } },
  'a phone': { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true },
}

for (const [screen, options] of Object.entries(SCREENS)) test(`axe finds nothing in any state on ${screen}, light and dark`, async (t) => {
  await visitStates(t, browser, options, async (state, page) => {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      await hasNoAxeViolations(page, `${state}, ${colorScheme}`)
    }
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    assert.equal(overflow, 0, `${state}: the page scrolls sideways`)
    const share = await page.evaluate(() => [...document.querySelectorAll('[role=log]')].map(log => log.getBoundingClientRect().height / innerHeight))
    if (options.isMobile) assert.ok(share.every(share => share >= 0.7), `${state}: ${share} of the height is for the messages`)
  })
})
