// Browser tests of the sign-in: where it returns to, what the page offers before it, and what a failed one shows.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname } from 'node:path'
import { test } from 'node:test'
import { startLocalStack } from './processes.mjs'
import { useBrowser } from './chat-user.mjs'

const browser = useBrowser()
const ALICE = 'alice@contoso.com'
const DIST = new URL('../../content/dist/', import.meta.url)
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }

/** Serves the built page below `/chat/`. `api` is set later: the API needs the address first. */
async function pageInFolder(t) {
  const site = { api: undefined, page: undefined }
  const server = createServer(async (request, response) => {
    const name = new URL(request.url, 'http://h').pathname.replace(/^\/chat\//, '') || 'index.html'
    try {
      const config = JSON.stringify({ apiBaseUrl: site.api, authProvider: 'aad' })
      const body = name === 'config.json' ? config : await readFile(new URL(name, DIST))
      response.setHeader('Content-Type', TYPES[extname(name)] ?? 'application/json').end(body)
    } catch {
      response.writeHead(404).end()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  site.page = `http://127.0.0.1:${server.address().port}/chat/`
  return site
}

for (const link of ['', 'index.html', '?x=1', '#room=blue', 'index.html?x=1#room=blue']) test(`after a sign-in from /${link}, the page is at its address with the same query and fragment`, async (t) => {
  const chat = await startLocalStack(t)
  const alice = await browser.newUser({ ...chat, page: `${chat.page}/${link}` })
  const requests = []
  alice.page.on('request', request => requests.push(new URL(request.url()).pathname))
  await alice.signIn(ALICE)
  assert.equal(alice.page.url(), `${chat.page}/${link.replace('index.html', '')}`)
  assert.ok(requests.includes('/api/me') && !requests.includes('/.auth/me'), 'the page asks the API who is signed in')
  await alice.page.reload()
  await alice.isOnline()
  assert.match(await alice.page.locator('header').innerText(), /alice@contoso\.com/)
})

test('a page in a folder returns to the folder, if its address is allowed', async (t) => {
  const site = await pageInFolder(t)
  const chat = await startLocalStack(t, {}, ['--allow-origin', new URL(site.page).origin, '--allow-redirect', site.page])
  site.api = chat.api
  const alice = await browser.newUser({ ...chat, page: `${site.page}index.html?x=1#room=blue` })
  await alice.signIn(ALICE)
  assert.equal(alice.page.url(), `${site.page}?x=1#room=blue`)
})

test('a page whose address is not allowed is told which setting lacks it', async (t) => {
  const site = await pageInFolder(t)
  const chat = await startLocalStack(t, {}, ['--allow-origin', new URL(site.page).origin])
  site.api = chat.api
  const { page } = await browser.newUser({ ...chat, page: site.page }, { viewport: { width: 320, height: 568 } })
  await page.getByRole('button', { name: /^Sign in/ }).click()
  await page.getByRole('status').getByText('allowedExternalRedirectUrls').waitFor()
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  assert.equal(overflow, 0, 'the sign-in page scrolls sideways')
  await page.getByRole('button', { name: ALICE }).click()
  await page.waitForURL(`${chat.api}/.auth/login/done**`)
  await page.getByText('--allow-redirect').waitFor()
})

test('a sign-in without a name asks for another one', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await browser.newUser(chat, { allowConsoleErrors: true })
  await alice.page.getByRole('button', { name: /^Sign in/ }).click()
  await alice.page.getByRole('textbox').fill('sid:lost')
  await alice.page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await alice.page.getByRole('alert').getByText('Your sign-in came without your name. Please sign in again.').waitFor()
  await alice.signIn(ALICE)
})

test('a pasted token is not taken for a name, and not shown', async (t) => {
  const chat = await startLocalStack(t)
  const token = `gho_${'16C7e42F292c6912E77'.repeat(20)}`
  const alice = await browser.newUser(chat, { allowConsoleErrors: true })
  await alice.page.getByRole('button', { name: /^Sign in/ }).click()
  await alice.page.getByRole('textbox').fill(token)
  await alice.page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await alice.page.getByRole('alert').getByText('looks like an access token').waitFor()
  assert.equal(await alice.page.getByRole('textbox').inputValue(), '')
  const claims = Buffer.from(JSON.stringify({ groups: 'g'.repeat(2000), name: 'Ann Lee' })).toString('base64url')
  await alice.page.getByRole('textbox').fill(`e30.${claims}.AAAA`)
  await alice.page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await alice.isOnline()
  assert.match(await alice.page.locator('header').innerText(), /Ann Lee/)
})

test('where guests may not chat, the page offers only to sign in', async (t) => {
  const chat = await startLocalStack(t, { ChatAllowAnonymous: 'false' })
  const alice = await browser.newUser(chat)
  await alice.page.getByText('Checking whether guests can join').waitFor({ state: 'detached' })
  assert.equal(await alice.page.getByLabel('Nickname').count(), 0)
  await alice.signIn(ALICE)
})

test('while the API is away, the page says so and recovers', async (t) => {
  const chat = await startLocalStack(t)
  const { page } = await browser.newUser({ ...chat, page: 'about:blank' }, { allowConsoleErrors: true })
  await page.route('**/api/features', route => route.abort())
  await page.goto(chat.page)
  await page.getByRole('alert').getByText('It could not be checked whether guests can join: the chat cannot be reached.').waitFor()
  await page.unroute('**/api/features')
  await page.getByLabel('Nickname').waitFor()
})

test('a sign-in while the API is away can be completed later', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await browser.newUser(chat, { allowConsoleErrors: true })
  await alice.page.route('**/api/me', route => route.fulfill({ status: 503 }))
  await alice.page.getByRole('button', { name: /^Sign in/ }).click()
  await alice.page.getByRole('button', { name: ALICE }).click()
  await alice.page.getByRole('alert').getByText('your name could not be loaded: the chat is busy or restarting.').waitFor()
  await alice.page.unroute('**/api/me')
  await alice.page.getByRole('button', { name: 'Try again' }).click()
  await alice.isOnline()
})

for (const accessTokens of [true, false]) test(`access tokens are ${accessTokens ? '' : 'not '}offered where they are ${accessTokens ? 'on' : 'off'}`, async (t) => {
  const chat = await startLocalStack(t)
  const alice = await browser.newUser({ ...chat, page: 'about:blank' })
  const features = { guests: true, history: false, privateHistory: false, rooms: '*', accessTokens }
  await alice.page.route('**/api/features', route => route.fulfill({ json: features, headers: { 'Access-Control-Allow-Origin': '*' } }))
  await alice.page.goto(chat.page)
  await alice.page.getByLabel('Nickname').waitFor()
  await alice.signIn(ALICE)
  await alice.page.getByRole('button', { name: 'Sign out' }).waitFor()
  if (accessTokens) await alice.page.getByRole('link', { name: 'Access token' }).waitFor()
  else assert.equal(await alice.page.getByRole('link', { name: 'Access token' }).count(), 0)
})

for (const [where, viewport] of [['a narrow phone', { width: 320, height: 568 }], ['a screen at 400 %', { width: 320, height: 450 }]]) test(`the sign-in needs no scrolling on ${where}`, async (t) => {
  const chat = await startLocalStack(t)
  const { page } = await browser.newUser(chat, { viewport })
  await page.getByLabel('Nickname').waitFor()
  const hidden = await page.evaluate(() => {
    const { scrollHeight, clientHeight, scrollWidth, clientWidth } = document.documentElement
    const scrolling = [...document.querySelectorAll('main, main *')].filter(element => element.scrollHeight > element.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(element).overflowY))
    return [scrollHeight - clientHeight, scrollWidth - clientWidth, scrolling.length]
  })
  assert.deepEqual(hidden, [0, 0, 0])
})
