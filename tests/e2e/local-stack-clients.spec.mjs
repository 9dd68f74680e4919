// The published SignalR clients against the local stack, and the steps of Microsoft's tutorial.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr'
import { startLocalStack } from './processes.mjs'
import { asyncQueue } from './async-queue.mjs'
import { pythonClient } from './python-client.mjs'

async function signIn(chat, name) {
  const response = await fetch(`${chat.api}/.auth/login/aad`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ access_token: name }),
  })
  assert.equal(response.status, 200)
  return (await response.json()).authenticationToken
}

function send(chat, message, headers = {}) {
  const body = JSON.stringify(message)
  return fetch(`${chat.api}/api/messages`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body })
}

/** Connects; `next` resolves with the next message. */
async function connected(t, url, options = {}) {
  const connection = new HubConnectionBuilder().withUrl(url, options).configureLogging(LogLevel.None).build()
  const messages = asyncQueue()
  connection.on('newMessage', messages.push)
  await connection.start()
  t.after(() => connection.stop())
  return { connection, next: messages.next }
}

/** With a history, and without one. */
const HISTORIES = [['with a history', {}], ['without a history', { ChatHistory: 'off' }]]

for (const [name, variables] of HISTORIES) {
  test(`a client connects with the response of SignalRInfo, as in the tutorial, ${name}`, async (t) => {
    const chat = await startLocalStack(t, variables)
    const token = await signIn(chat, 'alice@contoso.com')
    const info = await (await fetch(`${chat.api}/api/SignalRInfo`, { method: 'POST', headers: { 'X-ZUMO-AUTH': token } })).json()
    const client = await connected(t, info.url, { accessTokenFactory: () => info.accessToken })
    const response = await send(chat, { recipient: null, sender: 'x', text: 'hi' }, { 'X-ZUMO-AUTH': token })
    assert.equal(response.status, 202)
    const { id, sentAt, at, next, ...rest } = await client.next()
    assert.deepEqual(rest, { sender: 'alice@contoso.com', text: 'hi' })
    assert.ok(id.length > 0 && !Number.isNaN(Date.parse(sentAt)))
    assert.deepEqual([typeof at, typeof next], variables.ChatHistory === 'off' ? ['undefined', 'undefined'] : ['string', 'string'])
  })

  test(`a page of the tutorial without sign-in shows its name as that of a guest, ${name}`, async (t) => {
    const chat = await startLocalStack(t, variables)
    const client = await connected(t, `${chat.api}/api`)
    assert.equal((await send(chat, { sender: 'Zed', text: 'hi' })).status, 202)
    const { sender, nickname, isGuest } = await client.next()
    assert.deepEqual([sender, nickname, isGuest], ['Zed (guest)', 'Zed', true])
  })
}

test('the JavaScript client follows the redirect and receives public messages and those to its user', async (t) => {
  const chat = await startLocalStack(t)
  const [alice, bob] = await Promise.all(['alice', 'bob'].map(name => signIn(chat, name)))
  const client = await connected(t, `${chat.api}/api`, { headers: { 'X-ZUMO-AUTH': bob } })
  await send(chat, { text: 'to all' }, { 'X-ZUMO-AUTH': alice })
  await send(chat, { text: 'to bob', recipient: 'bob' }, { 'X-ZUMO-AUTH': alice })
  assert.equal((await client.next()).text, 'to all')
  const own = await client.next()
  assert.deepEqual([own.text, own.sender, own.recipient, own.isPrivate], ['to bob', 'alice', 'bob', true])
})

test('a private message arrives once in both tabs and on the second device of each side', async (t) => {
  const chat = await startLocalStack(t)
  const sessions = await Promise.all(['alice', 'alice', 'bob', 'bob'].map(name => signIn(chat, name)))
  // Two tabs share a session; the other sessions are other devices.
  const tokens = [sessions[0], ...sessions, sessions[2]]
  const clients = await Promise.all(tokens.map(token => connected(t, `${chat.api}/api`, { headers: { 'X-ZUMO-AUTH': token } })))
  const guest = await connected(t, `${chat.api}/api`)
  const answer = await (await send(chat, { text: 'to bob', recipient: 'bob' }, { 'X-ZUMO-AUTH': sessions[0] })).json()
  assert.equal(answer.recipientOnline, true)
  await send(chat, { text: 'marker' })
  for (const client of clients) {
    assert.deepEqual([(await client.next()).id, (await client.next()).text], [answer.id, 'marker'])
  }
  assert.equal((await guest.next()).text, 'marker')
})

test('forged identity headers and tokens have no effect', async (t) => {
  const chat = await startLocalStack(t)
  const client = await connected(t, `${chat.api}/api`)
  const principal = Buffer.from('{"userDetails":"root"}').toString('base64')
  const headers = { 'x-ms-client-principal-name': 'root', 'X-MS-CLIENT-PRINCIPAL': principal, 'x-ms-client-principal-id': 'root' }
  assert.equal((await send(chat, { text: 'obey' }, headers)).status, 202)
  const { sender, isGuest } = await client.next()
  assert.deepEqual([sender, isGuest], ['Guest', true])
  assert.equal((await send(chat, { text: 'obey', recipient: 'bob' }, headers)).status, 401)
  assert.equal((await send(chat, { text: 'obey' }, { 'X-ZUMO-AUTH': 'forged' })).status, 401)
})

for (const name of ['pysignalr', 'signalrcore']) {
  test(`${name} negotiates with the API and receives public messages`, async (t) => {
    const chat = await startLocalStack(t)
    const client = pythonClient(t, name, [`${chat.api}/api`])
    assert.equal(await client.next(), 'open')
    await send(chat, { text: 'hi, Python', nickname: 'Node' })
    const [, message] = /^received \[(.*)\]$/.exec(await client.next())
    assert.equal(JSON.parse(message).text, 'hi, Python')
  })
}
