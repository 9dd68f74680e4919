// Browser tests of the page with the handler of the tutorial, which has only `negotiate` and `messages`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOT_FOUND } from './api-proxy.mjs'
import { useBrowser } from './chat-user.mjs'
import { startFaultyStack } from './faulty-stack.mjs'

const browser = useBrowser()
// The browser logs responses with an error status.
const WITH_ERRORS = { allowConsoleErrors: true }
const FUNCTIONS = new Set(['/api/negotiate', '/api/messages'])

/** A stack whose API has these two functions only, beside the sign-in of the platform. Nothing is kept. */
async function startTutorialStack(t) {
  const chat = await startFaultyStack(t, { variables: { ChatHistory: 'off' } })
  chat.apiProxy.rule = ({ method, path }) => method === 'OPTIONS' || path.startsWith('/.auth/') || FUNCTIONS.has(path) ? undefined : NOT_FOUND
  return chat
}

test('with the handler of the tutorial, people write to everyone and in private', async (t) => {
  const chat = await startTutorialStack(t)
  const guest = await (await browser.newUser(chat, WITH_ERRORS)).joinAsGuest('Gus')
  const [ann, ben] = [await browser.newUser(chat, WITH_ERRORS), await browser.newUser(chat, WITH_ERRORS)]
  await ann.signIn('ann@example.com')
  await ben.signIn('ben@example.com')
  await guest.sends('Hello from a guest')
  await ann.sees('Hello from a guest')
  await ann.sends('Hello, Gus')
  for (const person of [guest, ben]) await person.sees('Hello, Gus')
  await ben.startsPrivateConversation('ann@example.com')
  await ben.sends('Only for you')
  await ann.opens('ben@example.com')
  await ann.sees('Only for you')
  assert.doesNotMatch(await guest.page.locator('body').innerText(), /Only for you/)
})

test('with the handler of the tutorial, the page says that messages are not kept, and keeps those that the tab has seen', async (t) => {
  const chat = await startTutorialStack(t)
  const [ann, ben] = [await browser.newUser(chat, WITH_ERRORS), await browser.newUser(chat, WITH_ERRORS)]
  await ann.joinAsGuest('Ann')
  await ben.joinAsGuest('Ben')
  await ann.page.getByText(/messages are not kept/i).first().waitFor()
  await ben.sends('Do you see this?')
  await ann.sees('Do you see this?')
  await ann.page.reload()
  await ann.isOnline()
  await ann.sees('Do you see this?')
  assert.equal(await ann.count('Do you see this?'), 1)
})

test('with the handler of the tutorial, the page offers nothing that the handler does not have', async (t) => {
  const chat = await startTutorialStack(t)
  const ann = await (await browser.newUser(chat, WITH_ERRORS)).joinAsGuest('Ann')
  await ann.sends('Hello')
  await ann.hasSent('Hello')
  for (const name of ['Enter a room', 'Who is here', 'Remove message', 'More actions']) {
    assert.equal(await ann.page.getByRole('button', { name }).count(), 0, name)
  }
  assert.equal(await ann.page.getByRole('alert').count(), 0, 'the page shows an error')
})
