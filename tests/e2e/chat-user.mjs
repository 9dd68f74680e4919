// People: each a browser profile of its own, who do what a person does and see what a person sees.

import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { chromium } from 'playwright-core'

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'
// As root, on a machine without a screen and without a network; the rest keeps Chromium from calling home.
const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]
const HERE = /^(https?|wss?):\/\/(localhost|127\.0\.0\.1)[:/]|^(data|blob):/

export function launch() {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGS })
}

/** One browser for the tests of a file. */
export function browserOfThisFile() {
  let browser
  before(async () => { browser = await launch() })
  after(() => browser?.close())
  return { person: (stack, options) => open(browser, stack, options) }
}

/**
 * A fresh profile with the page of `stack` open. What the page complains about fails the test, unless some `complaints` are
 * 'expected'; a request to another site always does.
 */
export async function open(browser, stack, { complaints = 'none', ...options } = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const said = []
  const elsewhere = []
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) said.push(message.text()) })
  page.on('pageerror', error => said.push(String(error)))
  page.on('request', request => { if (!HERE.test(request.url())) elsewhere.push(request.url()) })
  stack.beforeEnd(async () => {
    await context.close()
    assert.deepEqual(elsewhere, [], 'the page asked another site for something')
    if (complaints === 'none') assert.deepEqual(said, [], 'the browser complained')
  })
  await page.goto(stack.page)
  return new Person(page)
}

class Person {
  constructor(page) {
    this.page = page
    this.log = page.getByRole('log')
    this.status = page.getByRole('status', { name: 'Connection' })
    this.conversations = page.getByRole('navigation', { name: 'Conversations' })
  }

  /** Somebody else in another tab of the same browser profile. */
  async besides(stack) {
    const page = await this.page.context().newPage()
    await page.goto(stack.page)
    return new Person(page)
  }

  /** Signs in as one of the people on the sign-in page, or as anyone else. */
  async signIn(name) {
    await this.page.getByRole('button', { name: /^Sign in/ }).click()
    await this.page.getByRole('heading', { name: 'Who are you today?' }).waitFor()
    const persona = this.page.getByRole('button', { name })
    if (await persona.count() > 0) {
      await persona.click()
    } else {
      await this.page.getByRole('textbox').fill(name)
      await this.page.getByRole('button', { name: 'Sign in', exact: true }).click()
    }
    await this.isLive()
    return this
  }

  async comeIn(nickname) {
    await this.page.getByLabel('Nickname').fill(nickname)
    await this.page.getByRole('button', { name: 'Come in' }).click()
    await this.isLive()
    return this
  }

  async isLive() {
    await this.status.getByText('Live').waitFor()
  }

  async says(text) {
    const composer = this.page.getByRole('textbox', { name: /essage to/ })
    await composer.fill(text)
    await composer.press('Enter')
  }

  /** A message in the open conversation. */
  message(text) {
    return this.log.getByRole('listitem').filter({ hasText: text })
  }

  async sees(text) {
    await this.message(text).first().waitFor()
    return this.message(text)
  }

  /** Waits until the page says that an own message is with the service. */
  async hasSent(text) {
    await this.message(text).getByText('sent', { exact: true }).waitFor()
  }

  /** How often a message is in the log, now. */
  async count(text) {
    return this.message(text).count()
  }

  async opens(conversation) {
    await this.conversations.getByRole('button', { name: conversation }).click()
  }

  async writesPrivatelyTo(userId) {
    await this.page.getByRole('button', { name: 'New private message' }).click()
    await this.page.getByLabel('User id of the person').fill(userId)
    await this.page.getByRole('button', { name: 'Write', exact: true }).click()
  }
}
