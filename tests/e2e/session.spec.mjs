// Browser tests of the session: it is renewed before it ends; where that fails, signing in again loses nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useBrowser } from './chat-user.mjs'
import { startFaultyStack } from './faulty-stack.mjs'

const browser = useBrowser()
const ANN = 'ann@example.com'
const BEN = 'ben@example.com'
// The browser logs failed requests as errors.
const WITH_ERRORS = { allowConsoleErrors: true }
const SHORT_SESSIONS = { args: ['--session-seconds', '4'] }

const signedIn = async (chat, name) => (await browser.newUser(chat, WITH_ERRORS)).signIn(name)
const composerOf = ({ page }) => page.getByRole('textbox', { name: 'Message to everyone' })

test('a session is renewed before it ends, and chatting goes on', async (t) => {
  const chat = await startFaultyStack(t, SHORT_SESSIONS)
  const ann = await signedIn(chat, ANN)
  const ben = await signedIn(chat, BEN)
  // Each renewal is after three quarters of a session, so the first session of both is over.
  await chat.apiProxy.receives('GET /.auth/refresh', 5)
  await ann.sends('Still here')
  await ben.sees('Still here')
  assert.match(await ben.message('Still here').innerText(), /ann@example\.com/)
  await ann.hasSent('Still here')
  for (const person of [ann, ben]) {
    await person.isOnline()
    assert.equal(await person.page.getByRole('alert').count(), 0)
  }
  await ann.page.reload()
  await ann.sees('Still here')
  await ann.isOnline()
})

test('where a session cannot be renewed, signing in again loses neither the typed text nor the messages that wait', async (t) => {
  const chat = await startFaultyStack(t, SHORT_SESSIONS)
  chat.apiProxy.rule = ({ method, path }) => {
    if (method !== 'OPTIONS' && path === '/.auth/refresh') return { status: 401 }
    if (method === 'POST' && path === '/api/messages') return 'destroy'
  }
  const ann = await signedIn(chat, ANN)
  await ann.sends('The first that waits')
  await ann.sends('The second that waits')
  await composerOf(ann).fill('Half a sentence')
  await ann.page.getByRole('alert').getByText('You have been signed out').waitFor()
  for (const text of ['The first that waits', 'The second that waits']) await ann.sees(text)

  chat.apiProxy.rule = () => undefined
  await ann.page.getByRole('button', { name: 'Sign in again' }).click()
  await ann.page.getByRole('textbox').fill(ANN)
  await ann.page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await ann.isOnline()
  assert.equal(await composerOf(ann).inputValue(), 'Half a sentence')
  const ben = await signedIn(chat, BEN)
  for (const text of ['The first that waits', 'The second that waits']) {
    await ann.hasSent(text)
    await ben.sees(text)
    for (const person of [ann, ben]) assert.equal(await person.count(text), 1)
  }
})

test('signing out with messages that were not sent asks first', async (t) => {
  const chat = await startFaultyStack(t)
  const ann = await signedIn(chat, ANN)
  const ben = await signedIn(chat, BEN)
  chat.apiProxy.rule = ({ method, path }) => method === 'POST' && path === '/api/messages' ? 'destroy' : undefined
  await ann.sends('Not sent yet')
  await ann.page.getByRole('button', { name: 'Sign out' }).click()
  await ann.page.getByRole('alertdialog').getByText('One message has not been sent yet').waitFor()
  await ann.confirms('Cancel')
  chat.apiProxy.rule = () => undefined
  await ann.hasSent('Not sent yet')
  await ben.sees('Not sent yet')

  chat.apiProxy.rule = ({ method, path }) => method === 'POST' && path === '/api/messages' ? 'destroy' : undefined
  await ann.sends('Never sent')
  await ann.page.getByRole('button', { name: 'Sign out' }).click()
  await ann.confirms('Sign out')
  await ann.page.getByRole('button', { name: /^Sign in/ }).waitFor()
  assert.equal(await ann.page.evaluate('sessionStorage.length'), 0)
})

test('signing out without such messages does not ask', async (t) => {
  const chat = await startFaultyStack(t)
  const ann = await signedIn(chat, ANN)
  await ann.sends('Good night')
  await ann.hasSent('Good night')
  await ann.page.getByRole('button', { name: 'Sign out' }).click()
  await ann.page.getByRole('button', { name: /^Sign in/ }).waitFor()
})
