// The history with real processes and the published JavaScript client: what was accepted stays, whatever is killed meanwhile.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HttpTransportType, HubConnectionBuilder, LogLevel } from '@microsoft/signalr'
import { freePort, startHandler } from './processes.mjs'
import { signalREmulator } from './signalr-emulator.mjs'

const MESSAGES_EACH = 250
const KILLS_EACH = 5

/** A handler and a service that `kill` ends without a warning and starts again, on the same port. */
async function killable(t, start) {
  let process = await start()
  let isBack = Promise.resolve()
  return {
    kill() {
      isBack = isBack.then(async () => {
        await process.stop('SIGKILL')
        process = await start()
      })
      return isBack
    },
    /** Resolves when the process runs. */
    isBack: () => isBack,
    current: () => process,
  }
}

/** A person with a connection, who keeps the messages of the log in order, as the page does. */
async function person(t, url, name, services) {
  const headers = { 'x-ms-client-principal-name': name }
  const connection = new HubConnectionBuilder()
    .withUrl(`${url}/api`, { headers, transport: HttpTransportType.WebSockets, skipNegotiation: false })
    .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 50 })
    .configureLogging(LogLevel.None)
    .build()
  const messages = new Map()
  let read = null
  const keep = (message) => { if (message.at) messages.set(message.at, message) }
  connection.on('newMessage', keep)
  await connection.start()
  t.after(() => connection.stop())

  async function call(method, path, body) {
    try {
      const response = await fetch(`${url}/api/${path}`, {
        method, headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) }, body: body && JSON.stringify(body),
      })
      return { status: response.status, body: await response.json() }
    } catch {
      return { status: 0 }
    }
  }

  /** Reads what follows the newest position that was read. False if the history did not answer. */
  async function catchUp() {
    for (;;) {
      const page = await call('GET', read === null ? 'history?limit=100' : `history?after=${read}&limit=100`)
      if (page.status !== 200) return false
      assert.equal(page.body.lost, false)
      page.body.messages.forEach(keep)
      read = page.body.after ?? read
      if (!page.body.more || read === null) return true
    }
  }

  return {
    name,
    catchUp,
    /** Says a text, as often as it takes: again with the same id if the answer did not come and the line is not in the log. */
    async say(text) {
      const id = randomUUID()
      for (;;) {
        const { status, body } = await call('POST', 'messages', { id, text })
        if (status === 202) return body
        assert.ok([0, 429, 502, 503, 504].includes(status), `${status}`)
        await services.isBack()
        while (!await catchUp()) await services.isBack()
        const found = [...messages.values()].find(message => message.sender === name && message.id === id)
        if (found) return found
      }
    },
    /** All messages of the log, from its beginning, in the order of the log. */
    async log() {
      const pages = []
      for (let before = ''; ;) {
        const { status, body } = await call('GET', `history?limit=100${before}`)
        assert.equal(status, 200)
        pages.unshift(body)
        if (body.before === null || !body.more) return pages.flatMap(page => page.messages)
        before = `&before=${body.before}`
      }
    },
    /** What the person sees: each message once, in the order of the log. */
    seen: () => once([...messages.values()].sort((one, other) => one.at < other.at ? -1 : 1)),
  }
}

/** Without the later lines of messages that are in the log twice. */
function once(messages) {
  const said = new Set()
  return messages.filter(({ sender, id, text }) => !said.has(JSON.stringify([sender, id, text])) && said.add(JSON.stringify([sender, id, text])))
}

test('every accepted message is in the history once and in order, although handler and service are killed', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'history-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const [handlerPort, servicePort] = [await freePort(), await freePort()]
  const service = await killable(t, () => signalREmulator(t, [], `${servicePort}`))
  const variables = {
    AzureSignalRConnectionString: service.current().printed('connection'),
    WEBSITE_AUTH_ENABLED: 'True',
    ChatMessageRate: '0',
    ChatHistory: join(folder, 'log'),
  }
  const handler = await killable(t, () => startHandler(t, variables, handlerPort))
  const services = { isBack: () => Promise.all([handler.isBack(), service.isBack()]) }
  const url = handler.current().url
  const [ann, ben] = await Promise.all(['ann@example.com', 'ben@example.com'].map(name => person(t, url, name, services)))

  const accepted = []
  const killAt = Math.floor(2 * MESSAGES_EACH / (2 * KILLS_EACH + 1))
  const kills = []
  const write = async (who) => {
    for (let number = 0; number < MESSAGES_EACH; number += 1) {
      accepted.push({ ...await who.say(`message ${number}`), sender: who.name })
      if (accepted.length % killAt === 0 && kills.length < 2 * KILLS_EACH) kills.push([handler, service][kills.length % 2].kill())
    }
  }
  await Promise.all([write(ann), write(ben)])
  await Promise.all(kills)
  assert.equal(kills.length, 2 * KILLS_EACH)
  assert.ok(await ann.catchUp() && await ben.catchUp())

  const log = await ann.log()
  assert.deepEqual(await ben.log(), log)
  assert.equal(log.length, once(log).length, 'the history has a message twice')
  const positions = log.map(message => message.at)
  assert.deepEqual(positions, [...positions].sort())
  const places = new Map(log.map((message, place) => [`${message.sender} ${message.id}`, place]))
  assert.equal(places.size, 2 * MESSAGES_EACH)
  for (const { sender, id, at } of accepted) {
    const place = places.get(`${sender} ${id}`)
    assert.notEqual(place, undefined, `${id} was accepted and is not in the history`)
    assert.equal(log[place].at, at)
  }
  // A hole would show as a position that does not follow.
  log.slice(1).forEach((message, index) => assert.equal(message.at, log[index].next))
  const ids = messages => messages.map(({ sender, id }) => `${sender} ${id}`)
  for (const who of [ann, ben]) assert.deepEqual(ids(who.seen()), ids(log))
})
