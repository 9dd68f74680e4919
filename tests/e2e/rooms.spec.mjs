// Rooms with the published JavaScript client against the local stack: entering, messages, who is here, and what a reconnect changes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpTransportType, HubConnectionBuilder, LogLevel } from '@microsoft/signalr'
import { asyncQueue } from './async-queue.mjs'
import { startLocalStack } from './processes.mjs'

/** Signs in as `name`; without a name it is a guest. Returns the headers of its calls. */
async function signIn(chat, name) {
  if (name === undefined) return {}
  const response = await fetch(`${chat.api}/.auth/login/aad`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ access_token: name }),
  })
  return { 'X-ZUMO-AUTH': (await response.json()).authenticationToken }
}

/** A person with a connection, who enters rooms and writes. */
async function person(t, chat, name, transport = HttpTransportType.WebSockets) {
  const headers = await signIn(chat, name)
  const connection = new HubConnectionBuilder().withUrl(`${chat.api}/api`, { headers, transport }).configureLogging(LogLevel.None).build()
  const messages = asyncQueue()
  connection.on('newMessage', messages.push)
  await connection.start()
  t.after(() => connection.stop())
  const call = (method, path, body) => fetch(`${chat.api}/api/${path}`, {
    method, headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) }, body: body && JSON.stringify(body),
  })
  const member = room => `rooms/${room}/members/${encodeURIComponent(connection.connectionId)}`
  return {
    connection,
    next: async () => (await messages.next()).text,
    enter: async room => (await call('PUT', member(room))).status,
    leave: async room => (await call('DELETE', member(room))).status,
    send: async (text, room) => (await call('POST', 'messages', { text, room })).status,
    members: async room => (await call('GET', `rooms/${room}/members`)).json(),
  }
}

for (const transport of ['WebSockets', 'ServerSentEvents', 'LongPolling']) {
  test(`messages of a room arrive over ${transport} at those who have entered it`, async (t) => {
    const chat = await startLocalStack(t)
    const people = await Promise.all(['ann', 'bob', 'carol'].map(name => person(t, chat, name, HttpTransportType[transport])))
    const [ann, bob, carol] = people
    assert.deepEqual(await Promise.all([ann.enter('Games'), bob.enter('games'), carol.enter('support')]), [204, 204, 204])
    assert.equal(await ann.send('in games', 'GAMES'), 202)
    assert.equal(await bob.leave('games'), 204)
    assert.equal(await ann.send('without bob', 'games'), 202)
    assert.equal(await ann.send('to everyone'), 202)
    assert.deepEqual([await ann.next(), await ann.next(), await ann.next()], ['in games', 'without bob', 'to everyone'])
    assert.deepEqual([await bob.next(), await bob.next()], ['in games', 'to everyone'])
    assert.equal(await carol.next(), 'to everyone')
  })
}

test('who is here is shown to everyone, each person once and guests as a number', async (t) => {
  const chat = await startLocalStack(t)
  const people = await Promise.all(['bob', 'ann', 'bob', undefined, undefined].map(name => person(t, chat, name)))
  assert.deepEqual(await Promise.all(people.map(one => one.enter('everyone'))), [204, 204, 204, 204, 204])
  for (const one of people) {
    assert.deepEqual(await one.members('everyone'), { people: ['ann', 'bob'], guests: 2, more: false })
  }
})

test('a client that reconnects has another connection, and enters its rooms again', async (t) => {
  const chat = await startLocalStack(t, { ChatRooms: 'games' })
  const [ann, bob] = await Promise.all(['ann', undefined].map(name => person(t, chat, name)))
  assert.deepEqual([await ann.enter('games'), await bob.enter('games')], [204, 204])
  const before = ann.connection.connectionId
  await ann.connection.stop()
  await ann.connection.start()
  assert.notEqual(ann.connection.connectionId, before)
  assert.equal(await bob.send('missed', 'games'), 202)
  assert.equal(await ann.enter('games'), 204)
  assert.equal(await bob.send('heard', 'games'), 202)
  assert.equal(await ann.next(), 'heard')
  assert.equal(await ann.enter('unknown'), 404)
})
