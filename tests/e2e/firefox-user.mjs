// Page object of the chat in Debian's Firefox, which is driven over WebDriver BiDi. It has what the main path needs; all else is tested
// in Chromium.

import { after, before } from 'node:test'
import puppeteer from 'puppeteer-core'

const EXECUTABLE = process.env.FIREFOX ?? '/usr/bin/firefox-esr'
const TIMEOUT_MS = 30_000
// The default waits for frames, and a tab in the background has none.
const POLLING = { polling: 100 }

/** Launches one browser for all tests of a file. */
export function useFirefox() {
  let browser
  before(async () => {
    browser = await puppeteer.launch({ browser: 'firefox', executablePath: EXECUTABLE, headless: true })
  })
  after(() => browser?.close())
  return { newUser: (stack, name) => newUser(browser, stack, name) }
}

/** Opens the page of `stack` in a new browser profile, and signs in as `name`. */
async function newUser(browser, stack, name) {
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  page.setDefaultTimeout(TIMEOUT_MS)
  stack.beforeEnd(() => context.close())
  await page.goto(stack.page)
  const user = new FirefoxUser(page)
  await user.signIn(name)
  return user
}

class FirefoxUser {
  constructor(page) {
    this.page = page
  }

  async signIn(name) {
    await this.press(/^Sign in/)
    await this.page.waitForFunction(() => location.pathname.startsWith('/.auth/login/'), POLLING)
    await this.page.locator('input').fill(name)
    await this.press(/^Sign in$/)
    await this.isOnline()
  }

  async reload() {
    await this.page.reload()
    await this.isOnline()
  }

  /** Waits until the page is connected. */
  isOnline() {
    return this.shows('[role="status"][aria-label="Connection"]', 'Online')
  }

  /** Waits until an element has `text`. */
  shows(selector, text) {
    return this.page.waitForFunction(
      (selector, text) => [...document.querySelectorAll(selector)].some(element => element.innerText.includes(text)), POLLING, selector, text,
    )
  }

  /** Waits for a message with `text`. */
  sees(text) {
    return this.shows('[role="log"] li', text)
  }

  /** The number of messages with `text`, without waiting. */
  count(text) {
    return this.page.$$eval('[role="log"] li', (rows, text) => rows.filter(row => row.innerText.includes(text)).length, text)
  }

  async sends(text) {
    await this.page.bringToFront()
    await this.page.locator('main textarea').fill(text)
    await this.page.keyboard.press('Enter')
  }

  /** Presses the first visible button whose name matches, in `within`. */
  async press(name, within = 'body') {
    await this.page.bringToFront()
    const button = await this.page.waitForFunction((source, within) => {
      const nameOf = element => (element.getAttribute('aria-label') ?? element.innerText).trim()
      return [...document.querySelectorAll(`${within} button`)].find(
        element => element.getClientRects().length > 0 && new RegExp(source).test(nameOf(element)),
      )
    }, POLLING, name.source, within)
    await button.click()
  }

  /** Opens the private thread with a person. */
  async writesTo(name) {
    await this.press(/New private message/)
    await this.page.locator('dialog[open] input').fill(name)
    await this.press(/^Write$/, 'dialog[open]')
  }

  opens(conversation) {
    return this.press(conversation, 'nav[aria-label="Conversations"]')
  }
}
