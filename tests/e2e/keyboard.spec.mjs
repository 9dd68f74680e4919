// Browser tests with the keyboard alone: no mouse, no touch, and no focus that a test sets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useBrowser } from './chat-user.mjs'
import { startLocalStack } from './processes.mjs'

const browser = useBrowser()
const ANN = 'ann@contoso.com'
const BEN = 'ben@contoso.com'
const MAX_STEPS = 80

/** What has the focus: its name, and a number that is the same for the same element. */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement
    if (element === document.body) return { name: '', number: -1 }
    globalThis.seen ??= []
    if (!globalThis.seen.includes(element)) globalThis.seen.push(element)
    const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent
    return { name: name.trim().replace(/\s+/g, ' '), number: globalThis.seen.indexOf(element) }
  })
}

/** Presses Tab until the element with this name has the focus. */
async function tabsTo(page, pattern, key = 'Tab') {
  const passed = []
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const { name } = await focused(page)
    if (pattern.test(name)) return
    passed.push(name.slice(0, 40))
    await page.keyboard.press(key)
  }
  assert.fail(`${key} does not reach ${pattern}, but ${passed.join(' | ')}`)
}

async function presses(page, pattern) {
  await tabsTo(page, pattern)
  await page.keyboard.press('Enter')
}

async function writes(page, text) {
  await page.keyboard.type(text)
  await page.keyboard.press('Enter')
}

test('a person signs in, writes, removes, enters and leaves rooms, and erases, with the keyboard alone', async (t) => {
  const chat = await startLocalStack(t)
  const ann = await browser.newUser(chat)
  const { page, log } = ann
  await page.getByLabel('Nickname').waitFor()
  await presses(page, /^Sign in with/)
  await page.waitForURL('**/.auth/login/**')
  await tabsTo(page, /name/i)
  await writes(page, ANN)
  await ann.isOnline()

  await writes(page, 'written by keyboard')
  await ann.hasSent('written by keyboard')
  await presses(page, /^Remove message/)
  await page.getByRole('alertdialog').waitFor()
  await presses(page, /^Remove$/)
  await log.getByText('Message removed').waitFor()

  await presses(page, /^\+? ?Enter a room|^Enter a room/)
  await page.getByRole('dialog', { name: 'Enter a room' }).waitFor()
  await tabsTo(page, /name/i)
  await writes(page, 'games')
  await page.getByRole('textbox', { name: 'Message to #games' }).waitFor()
  await writes(page, 'in the room')
  await ann.hasSent('in the room')
  await presses(page, /^Who is here/)
  await page.getByRole('list', { name: 'People' }).getByText(ANN).waitFor()
  await presses(page, /^More actions/)
  await page.getByRole('menu').waitFor()
  await tabsTo(page, /^Leave/, 'ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByRole('textbox', { name: 'Message to everyone' }).waitFor()

  await presses(page, /New private message/)
  await page.getByLabel('Sign-in name of the person').waitFor()
  await writes(page, BEN)
  await page.getByRole('textbox', { name: `Private message to ${BEN}` }).waitFor()
  await writes(page, 'in private')
  await ann.hasSent('in private')
  await presses(page, /^More actions/)
  await page.getByRole('menu').waitFor()
  await tabsTo(page, /^Erase/, 'ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByRole('alertdialog').waitFor()
  await presses(page, /^Erase$/)
  await log.getByText(`No messages with ${BEN}`).waitFor()
})

test('Tab reaches everything that can be used, and the list of messages scrolls by keys', async (t) => {
  const chat = await startLocalStack(t, { ChatMessageRate: '0' })
  const ann = await (await browser.newUser(chat)).signIn(ANN)
  const { page, log } = ann
  await ann.writesAll(Array.from({ length: 40 }, (_, number) => `message ${number}`))
  await ann.hasSentAll()
  const visible = await page.evaluate(() => {
    const usable = [...document.querySelectorAll('a[href], button:enabled, input:enabled, textarea, [tabindex="0"]')]
    const shown = usable.filter(element => element.checkVisibility({ visibilityProperty: true }) && element.tabIndex >= 0)
    globalThis.seen = shown
    return shown.length
  })
  const reached = new Set()
  for (let steps = 0; steps < visible + MAX_STEPS; steps += 1) {
    reached.add((await focused(page)).number)
    await page.keyboard.press('Tab')
  }
  const missed = await page.evaluate(numbers => globalThis.seen.filter((_, number) => !numbers.includes(number)).map(element => element.outerHTML.slice(0, 120)), [...reached])
  assert.deepEqual(missed, [])

  while (!await log.evaluate(element => element === document.activeElement || element.contains(document.activeElement))) await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Home')
  await log.getByText('message 0', { exact: true }).waitFor()
  await page.keyboard.press('End')
  await log.getByText('message 39', { exact: true }).waitFor()
})
