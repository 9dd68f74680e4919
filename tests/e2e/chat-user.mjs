// Page object of the chat: a user with a browser profile, who acts on the page and waits for what it shows.

import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { chromium } from 'playwright-core'

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'
// For root, and without a screen, a network or background requests.
const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]
const LOCAL_URL = /^(https?|wss?):\/\/(localhost|127\.0\.0\.1)[:/]|^(data|blob):/

export const LAUNCH_OPTIONS = { executablePath: EXECUTABLE, args: ARGS }

export function launchBrowser(options = {}) {
  return chromium.launch({ ...LAUNCH_OPTIONS, ...options })
}

/** Launches one browser for all tests of a file. */
export function useBrowser() {
  let browser
  before(async () => { browser = await launchBrowser() })
  after(() => browser?.close())
  return { newUser: (stack, options) => newUser(browser, stack, options) }
}

/**
 * Opens the page of `stack` in a new browser profile. With `stack.pageApi`, that is the address of the API for the page. The test fails on requests to other sites, and on console errors and warnings
 * unless `allowConsoleErrors`.
 */
export async function newUser(browser, stack, { allowConsoleErrors = false, ...options } = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const consoleErrors = []
  const externalRequests = []
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) consoleErrors.push(message.text()) })
  page.on('pageerror', error => consoleErrors.push(String(error)))
  page.on('request', request => { if (!LOCAL_URL.test(request.url())) externalRequests.push(request.url()) })
  stack.beforeEnd(async () => {
    await context.close()
    assert.deepEqual(externalRequests, [], 'the page sent requests to other sites')
    if (!allowConsoleErrors) assert.deepEqual(consoleErrors, [], 'the browser console has errors')
  })
  if (stack.pageApi !== undefined) {
    await context.route('**/config.json', route => route.fulfill({ json: { apiBaseUrl: stack.pageApi, authProvider: 'aad' } }))
  }
  await page.goto(stack.page)
  return new ChatUser(page)
}

class ChatUser {
  constructor(page) {
    this.page = page
    this.log = page.getByRole('log')
    this.status = page.getByRole('status', { name: 'Connection' })
    this.conversations = page.getByRole('navigation', { name: 'Conversations' })
  }

  /** A second user in another tab of the same browser profile. */
  async openTab(stack) {
    const page = await this.page.context().newPage()
    await page.goto(stack.page)
    return new ChatUser(page)
  }

  /** Signs in with a name that the sign-in page offers, or with any other. */
  async signIn(name) {
    await this.page.getByRole('button', { name: /^Sign in/ }).click()
    await this.page.waitForURL('**/.auth/login/**')
    const persona = this.page.getByRole('button', { name })
    if (await persona.count() > 0) {
      await persona.click()
    } else {
      await this.page.getByRole('textbox').fill(name)
      await this.page.getByRole('button', { name: 'Sign in', exact: true }).click()
    }
    await this.isOnline()
    return this
  }

  async joinAsGuest(nickname) {
    await this.page.getByLabel('Nickname').fill(nickname)
    await this.page.getByRole('button', { name: 'Join' }).click()
    await this.isOnline()
    return this
  }

  /** Waits until the page is connected. */
  async isOnline() {
    await this.status.getByText('Online').waitFor()
  }

  /** Waits until the page is connected again. An attempt may fail; the page then waits up to 30 s for the next one, and this does not. */
  async reconnects() {
    const online = this.status.getByText('Online', { exact: true })
    const retry = this.page.getByRole('button', { name: 'Retry now' })
    for (const end = Date.now() + 30_000; Date.now() < end;) {
      await online.or(retry).first().waitFor()
      if (await online.isVisible()) return
      // The button may be gone by now.
      await retry.click({ timeout: 1000 }).catch(() => {})
    }
    await this.isOnline()
  }

  /** Waits until the page says that it is not connected. */
  async isNotOnline() {
    await this.status.getByText('Online', { exact: true }).waitFor({ state: 'detached' })
  }

  /** Waits until no own message of the open conversation waits to be sent. */
  async hasSentAll() {
    await this.log.getByText(/sending|waiting to send|not sent/i).first().waitFor({ state: 'detached' })
  }

  async sends(text) {
    const composer = this.page.getByRole('textbox', { name: /essage to/ })
    await composer.fill(text)
    await composer.press('Enter')
  }

  /** Writes many messages, faster than a person types. `onWritten` is called and awaited after each one. */
  async writesAll(texts, onWritten = () => {}) {
    const composer = this.page.getByRole('textbox', { name: /essage to/ })
    for (const text of texts) {
      await composer.fill(text)
      // The page keeps the text in the composer while too many messages wait to be sent.
      while (await composer.inputValue() !== '') await composer.press('Enter')
      await onWritten()
    }
  }

  /** The messages with this text in the open conversation. */
  message(text) {
    return this.log.getByRole('listitem').filter({ hasText: text })
  }

  /** Waits for a message. */
  async sees(text) {
    await this.message(text).first().waitFor()
    return this.message(text)
  }

  /** Waits until the page shows an own message as sent. */
  async hasSent(text) {
    await this.message(text).getByText('sent', { exact: true }).waitFor()
  }

  /**
   * What matches `pattern` in the messages of the open conversation, in their order, when there are `count` of them or a minute is over.
   * The page has only some of them in the document: the list is scrolled from its end to its beginning. Returns to the end.
   */
  async allMessages(pattern, count) {
    for (const end = Date.now() + 60_000; ;) {
      const { messages, problem } = await this.log.evaluate(readWholeList, pattern.source)
      if (problem === undefined && messages.length === count) return messages
      if (Date.now() < end) continue
      assert.equal(problem, undefined)
      return messages
    }
  }

  /** The number of messages with this text, without waiting. */
  async count(text) {
    return this.message(text).count()
  }

  /** On a phone, the list of conversations is behind a button. */
  async showsConversations() {
    const button = this.page.getByRole('button', { name: /^Conversations/ })
    if (await button.isVisible() && !await this.conversations.isVisible()) await button.click()
  }

  async opens(conversation) {
    await this.showsConversations()
    await this.conversations.getByRole('button', { name: conversation }).click()
  }

  async entersRoom(name) {
    await this.showsConversations()
    await this.page.getByRole('button', { name: 'Enter a room' }).click()
    const dialog = this.page.getByRole('dialog', { name: 'Enter a room' })
    await dialog.getByRole('textbox').fill(name)
    await dialog.getByRole('button', { name: 'Enter', exact: true }).click()
    await this.page.getByRole('textbox', { name: `Message to #${name}` }).waitFor()
  }

  /** Chooses an item of the menu of the open conversation. */
  async chooses(item) {
    await this.page.getByRole('button', { name: 'More actions' }).click()
    await this.page.getByRole('menuitem', { name: item }).click()
  }

  /** Answers a question of the page. */
  async confirms(label) {
    await this.page.getByRole('alertdialog').getByRole('button', { name: label, exact: true }).click()
  }

  /** Shows the actions of an own message: under the mouse, or after a tap. */
  async showsActions(text) {
    const isTouch = await this.page.evaluate(() => matchMedia('(hover: none)').matches)
    if (isTouch) await this.message(text).tap()
    else await this.message(text).hover()
  }

  async removes(text) {
    await this.showsActions(text)
    await this.message(text).getByRole('button', { name: 'Remove message' }).click()
    await this.confirms('Remove')
  }

  async startsPrivateConversation(userId) {
    await this.showsConversations()
    await this.page.getByRole('button', { name: 'New private message' }).click()
    await this.page.getByLabel('Sign-in name of the person').fill(userId)
    await this.page.getByRole('button', { name: 'Write', exact: true }).click()
  }
}

/**
 * Runs in the page. Consecutive sections of the list have to overlap, and to agree where they do. `problem`: they do not, such as when a
 * hole is filled meanwhile.
 */
async function readWholeList(log, source) {
  const TIMEOUT_MS = 5000
  const pattern = new RegExp(source)
  const scrolls = element => element.scrollHeight > element.clientHeight && /auto|scroll/.test(getComputedStyle(element).overflowY)
  const scroller = [log, ...log.querySelectorAll('*')].find(scrolls) ?? log
  const nextFrame = () => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))
  const section = () => [...log.querySelectorAll('li')].flatMap(row => pattern.exec(row.textContent)?.[0] ?? [])
  const isEqual = (some, others) => some.length === others.length && some.every((text, at) => text === others[at])

  /** Resolves with the value of `attempt` when there is one, or with `undefined`. */
  async function poll(attempt) {
    for (const end = Date.now() + TIMEOUT_MS; Date.now() < end; await nextFrame()) {
      const value = attempt()
      if (value !== undefined) return value
    }
  }

  /** The part of `seen` before `known`, or `undefined` if they do not overlap. */
  function newPart(seen, known) {
    for (let at = seen.indexOf(known[0]); at >= 0; at = seen.indexOf(known[0], at + 1)) {
      const overlap = Math.min(seen.length - at, known.length)
      if (isEqual(seen.slice(at, at + overlap), known.slice(0, overlap))) return seen.slice(0, at)
    }
  }

  let frames = 0
  await poll(() => {
    frames = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop > 1 ? 0 : frames + 1
    scroller.scrollTop = scroller.scrollHeight
    return frames > 5 || undefined
  })
  let all = section()
  for (;;) {
    scroller.scrollTop = Math.max(0, scroller.scrollTop - scroller.clientHeight / 2)
    await nextFrame()
    const added = await poll(() => all.length === 0 ? [] : newPart(section(), all))
    if (added === undefined) return { messages: all, problem: `the list has changed near ${all[0]}` }
    all = [...added, ...all]
    if (scroller.scrollTop > 0) continue
    // At the beginning of what is shown, older messages are loaded.
    const hasMore = await poll(() => {
      if (scroller.scrollTop > 0 || section()[0] !== all[0]) return true
      return /This is the beginning|no longer kept/.test(log.textContent) ? false : undefined
    })
    if (hasMore === undefined) return { messages: all, problem: `the list does not show what is before ${all[0]}` }
    if (!hasMore) break
    if (all.length === 0) all = section()
  }
  scroller.scrollTop = scroller.scrollHeight
  return { messages: all }
}
