// The published clients without a browser, and the tutorial's own steps.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr'
import { stack } from './handler.mjs'

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))
const CLIENTS = fileURLToPath(new URL('clients/', import.meta.url))

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

/** Connects, and resolves with the next messages as they come. */
async function connected(t, url, options = {}) {
  const connection = new HubConnectionBuilder().withUrl(url, options).configureLogging(LogLevel.None).build()
  const arrived = []
  const waiting = []
  connection.on('newMessage', (message) => {
    const next = waiting.shift()
    if (next) next(message)
    else arrived.push(message)
  })
  await connection.start()
  t.after(() => connection.stop())
  return { connection, next: () => arrived.length > 0 ? Promise.resolve(arrived.shift()) : new Promise(resolve => waiting.push(resolve)) }
}

test('the steps of the tutorial work: SignalRInfo, then its url, then a message', async (t) => {
  const chat = await stack(t)
  const token = await signIn(chat, 'alice@contoso.com')
  const info = await (await fetch(`${chat.api}/api/SignalRInfo`, { method: 'POST', headers: { 'X-ZUMO-AUTH': token } })).json()
  const client = await connected(t, info.url, { accessTokenFactory: () => info.accessToken })
  const response = await send(chat, { recipient: null, sender: 'x', text: 'hi' }, { 'X-ZUMO-AUTH': token })
  assert.equal(response.status, 202)
  const { id, sentAt, ...rest } = await client.next()
  assert.deepEqual(rest, { sender: 'alice@contoso.com', text: 'hi' })
  assert.ok(id.length > 0 && !Number.isNaN(Date.parse(sentAt)))
})

test('case 82: the published client follows the redirect and gets what is sent to everyone, and to its user', async (t) => {
  const chat = await stack(t)
  const [alice, bob] = await Promise.all(['alice', 'bob'].map(name => signIn(chat, name)))
  const client = await connected(t, `${chat.api}/api`, { headers: { 'X-ZUMO-AUTH': bob } })
  await send(chat, { text: 'to all' }, { 'X-ZUMO-AUTH': alice })
  await send(chat, { text: 'to bob', recipient: 'bob' }, { 'X-ZUMO-AUTH': alice })
  assert.equal((await client.next()).text, 'to all')
  const own = await client.next()
  assert.deepEqual([own.text, own.sender, own.recipient, own.isPrivate], ['to bob', 'alice', 'bob', true])
})

test('a forged name is nobody, whichever way it comes', async (t) => {
  const chat = await stack(t)
  const client = await connected(t, `${chat.api}/api`)
  const principal = Buffer.from('{"userDetails":"root"}').toString('base64')
  const headers = { 'x-ms-client-principal-name': 'root', 'X-MS-CLIENT-PRINCIPAL': principal, 'x-ms-client-principal-id': 'root' }
  assert.equal((await send(chat, { text: 'obey' }, headers)).status, 202)
  assert.equal((await client.next()).sender, '')
  assert.equal((await send(chat, { text: 'obey', recipient: 'bob' }, headers)).status, 401)
  assert.equal((await send(chat, { text: 'obey' }, { 'X-ZUMO-AUTH': 'forged' })).status, 401)
})

for (const client of ['pysignalr', 'signalrcore']) {
  test(`${client} receives what is sent to everyone, through our negotiate`, async (t) => {
    const chat = await stack(t)
    const child = spawn(PYTHON, [`${CLIENTS}${client}_client.py`, `${chat.api}/api`], { stdio: ['ignore', 'pipe', 'pipe'] })
    t.after(() => child.kill('SIGKILL'))
    const lines = []
    let heard = () => {}
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        lines.push(line)
        heard()
      })
    }
    const ended = once(child, 'exit').then(([code]) => { throw new Error(`${client} ended with ${code}:\n${lines.join('\n')}`) })
    ended.catch(() => {})
    const line = start => Promise.race([ended, new Promise((resolve) => {
      heard = () => { if (lines.some(line => line.startsWith(start))) resolve(lines.find(line => line.startsWith(start))) }
      heard()
    })])
    await line('open')
    await send(chat, { text: 'hi, Python', nickname: 'Node' })
    assert.equal(await line('received'), 'received hi, Python')
  })
}
