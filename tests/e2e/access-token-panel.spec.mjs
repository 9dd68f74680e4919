// The panel for developers: a token for Azure Communication Services, asked for, looked at, copied and revoked by a person.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AzureCommunicationTokenCredential } from '@azure/communication-common'
import { emulator } from './communication-emulator.mjs'
import { handler, stack } from './processes.mjs'
import { browserOfThisFile } from './chat-user.mjs'

const browser = browserOfThisFile()
const ALICE = 'alice@contoso.com'
const BOB = 'bob@contoso.com'
const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] }

/** The panel of somebody who is signed in. */
function panelOf({ page }) {
  const region = page.getByRole('region', { name: 'Access token' })
  const press = name => region.getByRole('button', { name }).click()
  return {
    region, press,
    button: page.getByRole('button', { name: 'Developer' }),
    open: () => page.getByRole('button', { name: 'Developer' }).click(),
    says: text => region.getByRole('status').filter({ hasText: text }).waitFor(),
    fact: name => region.getByRole('term').filter({ hasText: name }).locator('xpath=following-sibling::dd[1]').innerText(),
    /** Gets a token, and returns it as somebody who looks at it reads it. */
    async get() {
      const answered = page.waitForResponse(response => response.url().endsWith('/api/access-token'))
      await press(/^Get a/)
      await answered
      await this.says('Here is your token.')
      await press('Show')
      return region.getByRole('textbox', { name: 'The token' }).inputValue()
    },
  }
}

test('a signed-in person gets a token that the published clients can read, always for the same identity', async (t) => {
  const chat = await stack(t)
  const alice = panelOf(await (await browser.person(chat, CLIPBOARD)).signIn(ALICE))
  const bob = panelOf(await (await browser.person(chat)).signIn(BOB))
  await alice.open()
  const token = await alice.get()
  const { expiresOnTimestamp } = await new AzureCommunicationTokenCredential(token).getToken()
  assert.ok(Math.abs(expiresOnTimestamp - Date.now() - 3_600_000) < 60_000)
  assert.match(await alice.fact('It ends'), /in\s(59\sminutes|1\shour)/)
  const userId = await alice.fact('Your user id there')
  assert.match(userId, /^8:acs:[0-9a-f-]{36}_[0-9a-f-]{36}$/)

  await alice.press('Copy')
  await alice.says('Copied.')
  assert.equal(await alice.region.page().evaluate('navigator.clipboard.readText()'), token)

  await alice.get()
  assert.equal(await alice.fact('Your user id there'), userId)
  await bob.open()
  await bob.get()
  assert.notEqual(await bob.fact('Your user id there'), userId)
})

test('the token is in the page while one looks at it, and nowhere else ever', async (t) => {
  const chat = await stack(t)
  const person = await (await browser.person(chat)).signIn(ALICE)
  const { page } = person
  const asked = []
  const said = []
  page.on('request', request => asked.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData()}`))
  page.on('console', message => said.push(message.text()))
  const answered = page.waitForResponse(response => response.url().endsWith('/api/access-token'))
  const alice = panelOf(person)
  await alice.open()
  const token = await alice.get()
  assert.equal((await answered).headers()['cache-control'], 'no-store')
  const elsewhere = () => page.evaluate('JSON.stringify([location.href, document.title, document.cookie, history.state, {...sessionStorage}, {...localStorage}])')
  assert.equal((await elsewhere()).includes(token), false)

  await alice.press('Hide')
  await alice.region.getByRole('textbox').waitFor({ state: 'detached' })
  assert.equal((await page.content()).includes(token), false)
  await alice.press('Close')
  await alice.open()
  await alice.region.getByRole('button', { name: 'Get a token' }).waitFor()

  await page.reload()
  await person.isLive()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Nickname').waitFor()
  for (const place of [await elsewhere(), await page.content(), ...asked, ...said, ...chat.lines]) {
    assert.equal(place.includes(token), false, 'the token is somewhere else')
  }
})

test('revoking ends all tokens of a person, and nobody else’s', async (t) => {
  const service = await emulator(t)
  const chat = await stack(t, { AzureCommunicationServicesConnectionString: service.connectionString })
  const [alice, bob] = (await Promise.all([ALICE, BOB].map(async name => (await browser.person(chat)).signIn(name)))).map(panelOf)
  await Promise.all([alice.open(), bob.open()])
  const tokens = [await alice.get(), await alice.get(), await bob.get()]
  await alice.press('Revoke all')
  await alice.says('All your tokens are revoked.')
  assert.equal(await alice.region.getByRole('term').count(), 0, 'a dead token is still shown')
  assert.deepEqual(await Promise.all(tokens.map(service.state)), ['revoked', 'revoked', 'alive'])
  assert.equal(await service.state(await alice.get()), 'alive')
})

test('who asks too often is told when to try again, and keeps the token', async (t) => {
  const chat = await stack(t)
  const alice = panelOf(await (await browser.person(chat, { complaints: 'expected' })).signIn(ALICE))
  await alice.open()
  await alice.get()
  const tooOften = alice.region.getByText(/too many calls at once\. Please try again in/)
  for (let tries = 0; tries < 20 && await tooOften.count() === 0; tries += 1) {
    const answered = alice.region.page().waitForResponse(response => response.url().endsWith('/api/access-token'))
    await alice.press('Get a new token')
    await answered
    await alice.region.locator('[aria-disabled="true"]').first().waitFor({ state: 'detached' })
  }
  await tooOften.waitFor()
  await alice.press('Show')
  await alice.region.getByRole('textbox', { name: 'The token' }).waitFor()
})

test('a session that has ended is told as elsewhere, and takes the token with it', async (t) => {
  // Sign-ins do not outlive the stand-in that made them; a service of its own keeps the chat connected meanwhile.
  const service = await handler(t, ['emulator', '--port', '0'])
  const variables = { AzureSignalRConnectionString: service.told('connection') }
  const chat = await stack(t, variables)
  const person = await (await browser.person(chat, { complaints: 'expected' })).signIn(ALICE)
  const alice = panelOf(person)
  await alice.open()
  await alice.get()
  await chat.stop()
  await handler(t, ['--page-port', new URL(chat.page).port, '--api-port', new URL(chat.api).port, '--communication-port', '0'], variables)
  await alice.press('Get a new token')
  await person.page.getByText('Your session has ended').waitFor()
  assert.equal(await alice.region.count(), 0)
  await person.page.getByRole('button', { name: 'Sign in again' }).waitFor()
})

test('guests have no such panel', async (t) => {
  const chat = await stack(t)
  const guest = await (await browser.person(chat)).comeIn('Gus')
  assert.equal(await guest.page.getByRole('button', { name: 'Developer' }).count(), 0)
})

test('it works from the keyboard alone on a narrow phone, and the page does not scroll sideways', async (t) => {
  const chat = await stack(t)
  const phone = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true }
  const person = await (await browser.person(chat, phone)).signIn(ALICE)
  const { page } = person
  const alice = panelOf(person)
  await alice.button.focus()
  await page.keyboard.press('Enter')
  await page.locator('h2:focus').getByText('Access token').waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await alice.says('Here is your token.')
  assert.equal(await page.evaluate('document.activeElement.textContent'), 'Get a new token', 'the focus was lost')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await alice.region.getByRole('textbox', { name: 'The token' }).and(page.locator(':focus')).waitFor()
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  assert.equal(overflow, 0, 'the page scrolls sideways')
  const { x, y, width, height } = await alice.region.boundingBox()
  assert.ok(x >= 0 && x + width <= 320 && y + height <= 568, 'the panel leaves the screen')
  await page.keyboard.press('Escape')
  await alice.button.and(page.locator(':focus')).waitFor()
  assert.equal(await alice.region.count(), 0)
})
