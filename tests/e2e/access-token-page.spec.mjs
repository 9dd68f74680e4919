// Browser tests of the access token page: a token for Azure Communication Services is issued, shown, copied and revoked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureCommunicationTokenCredential } from '@azure/communication-common'
import { communicationEmulator } from './communication-emulator.mjs'
import { startChat, startEmulator, startLocalStack } from './processes.mjs'
import { useBrowser } from './chat-user.mjs'

const browser = useBrowser()
const ALICE = 'alice@contoso.com'
const BOB = 'bob@contoso.com'
const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] }

/** The access token page of a user. */
function panelOf({ page }) {
  const region = page.getByRole('region', { name: 'Access token' })
  const press = name => region.getByRole('button', { name }).click()
  return {
    region, press,
    link: page.getByRole('link', { name: 'Access token' }),
    open: () => page.getByRole('link', { name: 'Access token' }).click(),
    close: () => page.getByRole('link', { name: 'Back to the chat' }).click(),
    shows: text => region.getByRole('status').filter({ hasText: text }).waitFor(),
    value: name => region.getByRole('term').filter({ hasText: name }).locator('xpath=following-sibling::dd[1]').innerText(),
    /** Requests a token and returns it as shown. */
    async get() {
      const answered = page.waitForResponse(response => response.url().endsWith('/api/access-token'))
      await press(/^Get a/)
      await answered
      await this.shows('Here is your token.')
      await press('Show')
      return region.getByRole('textbox', { name: 'Token' }).inputValue()
    },
  }
}

test('a user gets tokens for one identity, which the published clients can read', async (t) => {
  const chat = await startLocalStack(t)
  const alice = panelOf(await (await browser.newUser(chat, CLIPBOARD)).signIn(ALICE))
  const bob = panelOf(await (await browser.newUser(chat)).signIn(BOB))
  await alice.open()
  const token = await alice.get()
  const { expiresOnTimestamp } = await new AzureCommunicationTokenCredential(token).getToken()
  assert.ok(Math.abs(expiresOnTimestamp - Date.now() - 3_600_000) < 60_000)
  assert.match(await alice.value('Expires'), /in\s(59\sminutes|1\shour)/)
  const userId = await alice.value('Your user ID')
  assert.match(userId, /^8:acs:[0-9a-f-]{36}_[0-9a-f-]{36}$/)

  await alice.press('Copy')
  await alice.shows('Copied.')
  assert.equal(await alice.region.page().evaluate('navigator.clipboard.readText()'), token)

  await alice.get()
  assert.equal(await alice.value('Your user ID'), userId)
  await bob.open()
  await bob.get()
  assert.notEqual(await bob.value('Your user ID'), userId)
})

test('the token is in the page only while it is shown', async (t) => {
  const chat = await startLocalStack(t)
  const person = await (await browser.newUser(chat)).signIn(ALICE)
  const { page } = person
  const requests = []
  const logged = []
  page.on('request', request => requests.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData()}`))
  page.on('console', message => logged.push(message.text()))
  const answered = page.waitForResponse(response => response.url().endsWith('/api/access-token'))
  const alice = panelOf(person)
  await alice.open()
  const token = await alice.get()
  assert.equal((await answered).headers()['cache-control'], 'no-store')
  const pageState = () => page.evaluate('JSON.stringify([location.href, document.title, document.cookie, history.state, {...sessionStorage}, {...localStorage}])')
  assert.equal((await pageState()).includes(token), false)

  await alice.press('Hide')
  await alice.region.getByRole('textbox').waitFor({ state: 'detached' })
  assert.equal((await page.content()).includes(token), false)
  await alice.close()
  await alice.open()
  await alice.region.getByRole('button', { name: 'Get a token' }).waitFor()

  await page.reload()
  await alice.close()
  await person.isOnline()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Nickname').waitFor()
  const left = [await pageState(), await page.content()]
  await page.close()
  await chat.stop()
  for (const text of [...left, ...requests, ...logged, ...chat.lines]) {
    assert.equal(text.includes(token), false, 'the token is in another place')
  }
})

test('revoking ends all tokens of the user and no others', async (t) => {
  const service = await communicationEmulator(t)
  const chat = await startLocalStack(t, { AzureCommunicationServicesConnectionString: service.connectionString })
  const [alice, bob] = (await Promise.all([ALICE, BOB].map(async name => (await browser.newUser(chat)).signIn(name)))).map(panelOf)
  await Promise.all([alice.open(), bob.open()])
  const tokens = [await alice.get(), await alice.get(), await bob.get()]
  await alice.press('Revoke all')
  await alice.shows('All your tokens are revoked.')
  assert.equal(await alice.region.getByRole('term').count(), 0, 'a revoked token is still shown')
  assert.deepEqual(await Promise.all(tokens.map(service.state)), ['revoked', 'revoked', 'alive'])
  assert.equal(await service.state(await alice.get()), 'alive')
})

test('a throttled request shows when to try again and keeps the token', async (t) => {
  const chat = await startLocalStack(t)
  const alice = panelOf(await (await browser.newUser(chat, { allowConsoleErrors: true })).signIn(ALICE))
  await alice.open()
  await alice.get()
  const throttled = alice.region.getByText(/too many requests at once\. Please try again in/)
  for (let tries = 0; tries < 20 && await throttled.count() === 0; tries += 1) {
    const answered = alice.region.page().waitForResponse(response => response.url().endsWith('/api/access-token'))
    await alice.press('Get a new token')
    await answered
    await alice.region.locator('[aria-disabled="true"]').first().waitFor({ state: 'detached' })
  }
  await throttled.waitFor()
  await alice.press('Show')
  await alice.region.getByRole('textbox', { name: 'Token' }).waitFor()
})

test('an expired session removes the page', async (t) => {
  // Sessions end with the process that created them; the separate emulator keeps the page connected.
  const emulator = await startEmulator(t, ['--port', '0'])
  const variables = { AzureSignalRConnectionString: emulator.printed('connection') }
  const chat = await startLocalStack(t, variables)
  const person = await (await browser.newUser(chat, { allowConsoleErrors: true })).signIn(ALICE)
  const alice = panelOf(person)
  await alice.open()
  await alice.get()
  await chat.stop()
  await startChat(t, ['--page-port', new URL(chat.page).port, '--api-port', new URL(chat.api).port, '--communication-port', '0'], variables)
  await alice.press('Get a new token')
  await person.page.getByText('You have been signed out').waitFor()
  assert.equal(await alice.region.count(), 0)
  await person.page.getByRole('button', { name: 'Sign in again' }).waitFor()
})

test('a guest has no access token page', async (t) => {
  const chat = await startLocalStack(t)
  const guest = await (await browser.newUser(chat)).joinAsGuest('Gus')
  assert.equal(await guest.page.getByRole('link', { name: 'Access token' }).count(), 0)
})

test('the page works with the keyboard on a narrow phone', async (t) => {
  const chat = await startLocalStack(t)
  const phone = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true }
  const person = await (await browser.newUser(chat, phone)).signIn(ALICE)
  const { page } = person
  const alice = panelOf(person)
  await person.showsConversations()
  await alice.link.focus()
  await page.keyboard.press('Enter')
  await page.locator('h1:focus').getByText('Access token').waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await alice.shows('Here is your token.')
  assert.equal(await page.evaluate('document.activeElement.textContent'), 'Get a new token', 'the focus was lost')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await alice.region.getByRole('textbox', { name: 'Token' }).and(page.locator(':focus')).waitFor()
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  assert.equal(overflow, 0, 'the page scrolls sideways')
  await alice.close()
  await person.isOnline()
  assert.equal(await alice.region.count(), 0)
})
