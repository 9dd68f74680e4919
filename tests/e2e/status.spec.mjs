// Browser tests of the status: what fails, what the page says, and within how long. What only waits is not shown as an error.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UNAVAILABLE } from './api-proxy.mjs'
import { launchBrowser, newUser, useBrowser } from './chat-user.mjs'
import { startFaultyStack } from './faulty-stack.mjs'
import { stopAndContinue } from './stopped-browser.mjs'

const browser = useBrowser()
const ANN = 'ann@example.com'
const BEN = 'ben@example.com'
// The browser logs failed requests as errors.
const WITH_ERRORS = { allowConsoleErrors: true }
// The page says it within 3 s; the rest is for a slow machine.
const WITHIN_MS = 3000 + 1500

async function twoPeople(chat) {
  return Promise.all([ANN, BEN].map(async name => (await newUserOf(chat)).signIn(name)))
}

const newUserOf = chat => browser.newUser(chat, WITH_ERRORS)

/** `fails` happens by `strike` and ends by `mend`. Where `writes`, the page notices it at the next own message. */
const TABLE = [
  {
    fails: 'the device has no network', says: 'Offline', explains: 'This device is offline',
    strike: (chat, ann) => ann.page.context().setOffline(true),
    mend: (chat, ann) => ann.page.context().setOffline(false),
  },
  {
    fails: 'the API refuses connections', writes: true, says: 'Cannot send', explains: 'Yours are sent as soon as possible',
    strike: (chat) => { chat.apiProxy.rule = () => 'destroy' },
    mend: (chat) => { chat.apiProxy.rule = () => undefined },
  },
  {
    fails: 'the API answers 503', writes: true, says: 'Cannot send', explains: 'Yours are sent as soon as possible',
    strike: (chat) => { chat.apiProxy.rule = () => UNAVAILABLE },
    mend: (chat) => { chat.apiProxy.rule = () => undefined },
  },
  {
    fails: 'the API does not answer', writes: true, says: 'Slow', explains: 'Yours are sent as soon as possible',
    strike: (chat) => { chat.apiProxy.rule = () => 'hang' },
    // The calls under way have no answer: their connections are reset.
    mend: (chat) => {
      chat.apiProxy.rule = () => undefined
      chat.apiNetwork.disconnect()
      chat.apiNetwork.reconnect()
    },
  },
  {
    fails: 'the connection is open and silent', writes: true, says: /Checking/, explains: 'Checking the connection',
    strike: chat => chat.serviceNetwork.blackHole(),
    mend: chat => chat.serviceNetwork.reconnect(),
  },
  {
    fails: 'the network is cut', writes: true, says: /Connecting|Reconnecting|Offline/, explains: 'You can keep writing',
    strike: chat => chat.network.cut(),
    mend: chat => chat.network.restore(),
  },
  {
    fails: 'the service is killed', says: /Connecting|Reconnecting/,
    strike: chat => chat.service.kill(),
    mend: chat => chat.service.start(),
  },
]

for (const { fails, writes = false, says, explains, strike, mend } of TABLE) test(`when ${fails}, the page says ${says} within 3 s, and recovers`, async (t) => {
  const chat = await startFaultyStack(t)
  const [ann, ben] = await twoPeople(chat)
  await ann.sends('before')
  await ben.sees('before')
  await strike(chat, ann)
  if (writes) await ann.sends('meanwhile')
  const started = Date.now()
  await ann.status.getByText(says).waitFor({ timeout: WITHIN_MS })
  t.diagnostic(`said after ${Date.now() - started} ms`)
  if (explains !== undefined) await ann.page.locator('main').getByText(explains).first().waitFor()
  if (!writes) await ann.sends('meanwhile')
  assert.equal(await ann.page.getByRole('alert').count(), 0, 'the page shows an error')
  await mend(chat, ann)
  await ann.reconnects()
  await ben.reconnects()
  await ben.sees('meanwhile')
  await ann.hasSent('meanwhile')
  for (const person of [ann, ben]) {
    for (const text of ['before', 'meanwhile']) assert.equal(await person.count(text), 1, text)
  }
})

test('a connection that is open and silent is noticed although the person writes nothing', async (t) => {
  const chat = await startFaultyStack(t)
  const ann = await newUserOf(chat)
  await ann.page.clock.install()
  await ann.signIn(ANN)
  const ben = await (await newUserOf(chat)).signIn(BEN)
  await ben.sends('before')
  await ann.sees('before')
  chat.serviceNetwork.blackHole()
  // The service would send a ping after 15 s; 3 s later the connection is suspect.
  await ann.page.clock.fastForward(18_500)
  await ann.isNotOnline()
  await ben.sends('meanwhile')
  chat.serviceNetwork.reconnect()
  await ann.reconnects()
  await ann.sees('meanwhile')
})

test('when the session has ended, the page asks to sign in again', async (t) => {
  const chat = await startFaultyStack(t)
  const ann = await (await newUserOf(chat)).signIn(ANN)
  chat.apiProxy.rule = ({ method, path }) => method === 'OPTIONS' || path.startsWith('/.auth/login') ? undefined : { status: 401 }
  await ann.sends('still here?')
  await ann.status.getByText('Signed out').waitFor({ timeout: WITHIN_MS })
  await ann.page.getByRole('alert').getByText('You have been signed out').waitFor()
  await ann.page.getByRole('button', { name: 'Sign in again' }).waitFor()
})

test('a first visit without a connection says so, instead of that nothing was written', async (t) => {
  const chat = await startFaultyStack(t)
  const ann = await (await newUserOf(chat)).signIn(ANN)
  chat.network.cut()
  await ann.page.reload()
  await ann.page.locator('main').getByText(/Not connected yet|Still connecting/).first().waitFor({ timeout: WITHIN_MS })
  assert.doesNotMatch(await ann.page.locator('body').innerText(), /No messages yet|quiet/i)
  chat.network.restore()
  await ann.reconnects()
})

test('a frozen tab shows what was written meanwhile, when it goes on', async (t) => {
  const chat = await startFaultyStack(t)
  const [ann, ben] = await twoPeople(chat)
  const session = await ann.page.context().newCDPSession(ann.page)
  await session.send('Page.setWebLifecycleState', { state: 'frozen' })
  await chat.service.kill()
  await chat.service.start()
  await ben.reconnects()
  await ben.sends('while you were away')
  await ben.hasSent('while you were away')
  await session.send('Page.setWebLifecycleState', { state: 'active' })
  await ann.sees('while you were away')
  await ann.reconnects()
  assert.equal(await ann.count('while you were away'), 1)
})

test('a page that comes back from the back/forward cache is online and shows what was written meanwhile', async (t) => {
  const chat = await startFaultyStack(t)
  const cached = await launchBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  t.after(() => cached.close())
  const ann = await (await newUser(cached, chat, WITH_ERRORS)).signIn(ANN)
  const ben = await (await newUserOf(chat)).signIn(BEN)
  await ann.page.evaluate(() => addEventListener('pageshow', (event) => { globalThis.isFromCache = event.persisted }))
  await ann.page.goto(`${chat.apiUrl}/.auth/logout/done`)
  await ben.sends('while you were away')
  await ben.hasSent('while you were away')
  await ann.page.goBack({ waitUntil: 'commit' })
  await ann.sees('while you were away')
  await ann.isOnline()
  assert.equal(await ann.page.evaluate(() => globalThis.isFromCache), true, 'the page was loaded again')
  await ann.sends('back again')
  await ben.sees('back again')
  assert.equal(await ann.count('while you were away'), 1)
})

test('after a computer has slept, the page shows what was written meanwhile', async (t) => {
  const chat = await startFaultyStack(t)
  const ben = await (await newUserOf(chat)).signIn(BEN)
  const laptop = await stopAndContinue(t)
  const ann = await (await newUser(laptop.browser, chat, WITH_ERRORS)).signIn(ANN)
  await ben.sends('before')
  await ann.sees('before')
  laptop.stop()
  await ben.sends('while you slept')
  await ben.hasSent('while you slept')
  // Connections do not survive the sleep.
  chat.network.cut()
  chat.network.restore()
  laptop.continue()
  await ann.sees('while you slept')
  await ann.reconnects()
  assert.equal(await ann.count('while you slept'), 1)
})
