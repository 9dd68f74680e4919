// Browser tests of failures: a service or a session that ends, and the recovery.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startChat, startEmulator, startLocalStack } from './processes.mjs'
import { useBrowser } from './chat-user.mjs'

const browser = useBrowser()
const ALICE = 'alice@contoso.com'
const BOB = 'bob@contoso.com'
// The browser logs failed requests as errors.
const WITH_ERRORS = { allowConsoleErrors: true }

/** The SignalR emulator as a separate process, which can be stopped while the stack runs. */
async function separateEmulator(t) {
  const emulator = await startEmulator(t, ['--port', '0'])
  const connection = emulator.printed('connection')
  const port = new URL(emulator.printed('SignalR')).port
  return { emulator, connection, restart: () => startEmulator(t, ['--port', port], { AzureSignalRConnectionString: connection }) }
}

for (const [how, signal] of [['stopped', 'SIGTERM'], ['killed', 'SIGKILL']]) test(`after the service is ${how} and restarted, all users reconnect and messages arrive`, async (t) => {
  const { emulator, connection, restart } = await separateEmulator(t)
  const chat = await startLocalStack(t, { AzureSignalRConnectionString: connection })
  const alice = await (await browser.newUser(chat, WITH_ERRORS)).signIn(ALICE)
  const bob = await (await browser.newUser(chat, WITH_ERRORS)).signIn(BOB)
  await alice.sends('before')
  await bob.sees('before')

  await emulator.stop(signal)
  for (const person of [alice, bob]) await person.status.getByText(/Reconnecting|Connecting/).waitFor()
  // Sent automatically when the service is back.
  await alice.sends('meanwhile')
  await restart()
  for (const person of [alice, bob]) await person.isOnline()
  await bob.sends('after')
  await alice.sees('after')
  await alice.hasSent('meanwhile')
  assert.equal(await bob.count('after'), 1)
  assert.equal(await alice.count('after'), 1)
})

test('a page that is opened without the service connects when it starts', async (t) => {
  const { emulator, connection, restart } = await separateEmulator(t)
  const chat = await startLocalStack(t, { AzureSignalRConnectionString: connection })
  await emulator.stop()
  const alice = await browser.newUser(chat, WITH_ERRORS)
  await alice.page.getByLabel('Nickname').fill('Alice')
  await alice.page.getByRole('button', { name: 'Join' }).click()
  await alice.page.getByText('You can keep writing').waitFor()
  await restart()
  await alice.page.getByRole('button', { name: 'Retry now' }).click()
  await alice.isOnline()
})

test('a guest is told to sign in when that becomes required', async (t) => {
  const { connection } = await separateEmulator(t)
  const variables = { AzureSignalRConnectionString: connection }
  const chat = await startLocalStack(t, variables)
  const guest = await (await browser.newUser(chat, WITH_ERRORS)).joinAsGuest('Guest')
  await chat.stop()
  const ports = ['--page-port', new URL(chat.page).port, '--api-port', new URL(chat.api).port, '--communication-port', '0']
  await startChat(t, ports, { ...variables, ChatAllowAnonymous: 'false' })
  await guest.sends('still here')
  await guest.page.getByRole('alert').getByText('Please sign in').waitFor()
})

test('an expired session requires a new sign-in and keeps the typed text', async (t) => {
  const { connection } = await separateEmulator(t)
  const variables = { AzureSignalRConnectionString: connection }
  const chat = await startLocalStack(t, variables)
  const alice = await (await browser.newUser(chat, WITH_ERRORS)).signIn(ALICE)
  const composer = alice.page.getByRole('textbox', { name: 'Message to everyone' })
  await composer.fill('unsent text')
  // Sessions end with the process that created them.
  const port = new URL(chat.api).port
  await chat.stop()
  await startChat(t, ['--page-port', new URL(chat.page).port, '--api-port', port], variables)
  await composer.press('Enter')
  await alice.page.getByText('You have been signed out').waitFor()
  await alice.page.getByRole('button', { name: 'Sign in again' }).click()
  await alice.page.getByRole('button', { name: ALICE }).click()
  await alice.isOnline()
  await alice.sees('unsent text')
})
