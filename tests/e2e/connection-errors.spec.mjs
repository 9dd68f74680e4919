// What people see when something is away, and that all of it mends itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handler, stack } from './processes.mjs'
import { browserOfThisFile } from './chat-user.mjs'

const browser = browserOfThisFile()
const ALICE = 'alice@contoso.com'
const BOB = 'bob@contoso.com'
// The browser itself reports requests that fail; on these days some must.
const EXPECTED = { complaints: 'expected' }

/** The SignalR service as a process of its own, so that it can be killed while the rest goes on. */
async function separateService(t) {
  const service = await handler(t, ['emulator', '--port', '0'])
  const connection = service.told('connection')
  const port = new URL(service.told('SignalR')).port
  return { service, connection, again: () => handler(t, ['emulator', '--port', port], { AzureSignalRConnectionString: connection }) }
}

for (const [how, signal] of [['stopped', 'SIGTERM'], ['killed', 'SIGKILL']]) test(`when the service is ${how} and comes back, everybody is led back and messages flow again`, async (t) => {
  const { service, connection, again } = await separateService(t)
  const chat = await stack(t, { AzureSignalRConnectionString: connection })
  const alice = await (await browser.person(chat, EXPECTED)).signIn(ALICE)
  const bob = await (await browser.person(chat, EXPECTED)).signIn(BOB)
  await alice.says('before')
  await bob.sees('before')

  await service.stop(signal)
  for (const person of [alice, bob]) await person.status.getByText(/Connection lost|Connecting/).waitFor()
  // Said while the service is away: kept, and sent by itself.
  await alice.says('meanwhile')
  await again()
  for (const person of [alice, bob]) await person.isLive()
  await bob.says('after')
  await alice.sees('after')
  await alice.hasSent('meanwhile')
  assert.equal(await bob.count('after'), 1)
  assert.equal(await alice.count('after'), 1)
})

test('a page that comes before the service waits for it', async (t) => {
  const { service, connection, again } = await separateService(t)
  const chat = await stack(t, { AzureSignalRConnectionString: connection })
  await service.stop()
  const alice = await browser.person(chat, EXPECTED)
  await alice.page.getByLabel('Nickname').fill('Alice')
  await alice.page.getByRole('button', { name: 'Come in' }).click()
  await alice.page.getByText('You can go on writing').waitFor()
  await again()
  await alice.page.getByRole('button', { name: 'Retry now' }).click()
  await alice.isLive()
})

test('where sign-in is required, a guest is told so in words', async (t) => {
  const chat = await stack(t, { ChatAllowAnonymous: 'false' })
  const guest = await browser.person(chat, EXPECTED)
  await guest.page.getByLabel('Nickname').fill('Guest')
  await guest.page.getByRole('button', { name: 'Come in' }).click()
  await guest.page.getByRole('alert').getByText('Sign-in is required here').waitFor()
})

test('a session that is no longer valid is said to have ended, and what was typed is kept', async (t) => {
  const { connection } = await separateService(t)
  const variables = { AzureSignalRConnectionString: connection }
  const chat = await stack(t, variables)
  const alice = await (await browser.person(chat, EXPECTED)).signIn(ALICE)
  const composer = alice.page.getByRole('textbox', { name: 'Message to everyone' })
  await composer.fill('half a thought')
  // Sign-ins do not outlive the stand-in that made them.
  const port = new URL(chat.api).port
  await chat.stop()
  await handler(t, ['--page-port', new URL(chat.page).port, '--api-port', port], variables)
  await composer.press('Enter')
  await alice.page.getByText('Your session has ended').waitFor()
  await alice.page.getByRole('button', { name: 'Sign in again' }).click()
  await alice.page.getByRole('button', { name: ALICE }).click()
  await alice.isLive()
  await alice.sees('half a thought')
})
