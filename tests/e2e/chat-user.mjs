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

export function launchBrowser() {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGS })
}

/** Launches one browser for all tests of a file. */
export function useBrowser() {
  let browser
  before(async () => { browser = await launchBrowser() })
  after(() => browser?.close())
  return { newUser: (stack, options) => newUser(browser, stack, options) }
}

/**
 * Opens the page of `stack` in a new browser profile. The test fails on requests to other sites, and on console errors and warnings
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

  async sends(text) {
    const composer = this.page.getByRole('textbox', { name: /essage to/ })
    await composer.fill(text)
    await composer.press('Enter')
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

  /** The number of messages with this text, without waiting. */
  async count(text) {
    return this.message(text).count()
  }

  async opens(conversation) {
    await this.conversations.getByRole('button', { name: conversation }).click()
  }

  async startsPrivateConversation(userId) {
    await this.page.getByRole('button', { name: 'New private message' }).click()
    await this.page.getByLabel('Sign-in name of the person').fill(userId)
    await this.page.getByRole('button', { name: 'Write', exact: true }).click()
  }
}
