// Microsoft's published client against the local SignalR service alone: every transport, every protocol, and bad wires.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpTransportType, HubConnectionBuilder, HubConnectionState, JsonHubProtocol, LogLevel, MessageType } from '@microsoft/signalr'
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack'
import { handshakes, messages } from './hub-messages.mjs'
import { inbox } from './async-queue.mjs'
import { app, housed, service, wired } from './signalr-emulator.mjs'
import { webhook } from './upstream-server.mjs'

const { WebSockets, ServerSentEvents, LongPolling } = HttpTransportType
const JSON_PROTOCOL = new JsonHubProtocol()
const MESSAGEPACK = new MessagePackHubProtocol()
const WAYS = [
  ['JSON over WebSockets', WebSockets, JSON_PROTOCOL],
  ['JSON over Server-Sent Events', ServerSentEvents, JSON_PROTOCOL],
  ['JSON over long polling', LongPolling, JSON_PROTOCOL],
  ['MessagePack over WebSockets', WebSockets, MESSAGEPACK],
  ['MessagePack over long polling', LongPolling, MESSAGEPACK],
]
// What never comes fails its test, and the others go on.
const PATIENCE = { timeout: 60_000 }
const RETRY_MS = 50

const nested = depth => depth === 0 ? '"bottom"' : `{"deeper":[${nested(depth - 1)}]}`
const sized = length => `"${'x'.repeat(length)}"`
/** As JSON: twelve arguments, among them everything that one of the two encodings could mistake for something else. */
const VALUES = `[${[
  '[0,-0.0,-1,-32,-33,127,128,255,256,65535,65536,-129,-32769,2147483648,4294967296,-2147483649]',
  '[9007199254740993,9223372036854775807,18446744073709551615,-9223372036854775808]',
  '[0.1,1.0,-2.5,1e-7,5e-324,1.7976931348623157e308,123456789012345678901234567890]',
  '["","grüße 世界 🦀","\\u0000\\u001e\\u2028\\"\\\\","2026-02-30T25:61:00Z","/Date(1)/","AAECAw==","null"]',
  `[${[31, 32, 255, 256, 65_535, 65_536].map(sized).join()}]`,
  '[null,true,false,[],{},[[]],{"":{}}]',
  nested(40),
  `[${Array.from({ length: 20 }, (_, at) => at).join()}]`,
  `{${Array.from({ length: 20 }, (_, at) => `"key ${at}":${at}`).join()}}`,
  'null', '"eleventh"', '12',
].join()}]`

const asItIs = builder => builder
const stateful = builder => builder.withStatefulReconnect()

/** Connects over `transport`; `next` are the arguments of the messages as they come. */
async function connected(house, url, { transport = WebSockets, protocol = JSON_PROTOCOL, adjust = asItIs } = {}) {
  const builder = new HubConnectionBuilder().withUrl(url, { transport }).withHubProtocol(protocol).configureLogging(LogLevel.None)
  const connection = adjust(builder).build()
  const arrived = inbox()
  connection.on('newMessage', (...args) => arrived.put(args))
  await connection.start()
  house.beforeEnd(() => connection.stop())
  return { connection, next: arrived.next }
}

for (const [way, transport, protocol] of WAYS) {
  test(`case 82: ${way}, all kinds of values arrive as they were sent, and the client's id is the one that REST knows`, PATIENCE, async (t) => {
    const { house, front } = await housed(t)
    const client = await connected(house, front.url, { transport, protocol })
    const other = await connected(house, front.url, { transport, protocol })
    await house.send(VALUES)
    for (const { next } of [client, other]) assert.deepEqual(await next(), JSON.parse(VALUES))
    await house.send('["only you"]', `/connections/${client.connection.connectionId}`)
    await house.send('["both"]')
    assert.deepEqual([await client.next(), await client.next()], [['only you'], ['both']])
    assert.deepEqual(await other.next(), ['both'])
  })

  test(`case 76: ${way}, calls are answered by the upstream`, PATIENCE, async (t) => {
    const upstream = await webhook(t, {
      repeat: (...given) => given,
      forget: () => undefined,
      refuse: () => { throw new Error('not on a Sunday') },
    })
    const { house, front } = await housed(t, upstream.options)
    const { connection } = await connected(house, front.url, { transport, protocol })
    // As the client writes them: both encodings lose the sign of zero.
    const values = JSON.parse(JSON.stringify(JSON.parse(VALUES)))
    assert.deepEqual(await connection.invoke('repeat', ...values), values)
    assert.equal(await connection.invoke('forget') ?? null, null)
    await assert.rejects(connection.invoke('refuse'), /not on a Sunday/)
    await connection.send('repeat', 'no answer wanted')
    assert.deepEqual(await connection.invoke('repeat', 1), [1])
    assert.deepEqual(upstream.posts.map(({ event }) => event), ['connected', 'repeat', 'forget', 'refuse', 'repeat', 'repeat'])
    assert.ok(upstream.posts.every(post => post.connection === connection.connectionId))
  })

  test(`case 71: ${way}, a caller gets the client's own answer, or hears that there is none`, PATIENCE, async (t) => {
    const { house, front } = await housed(t)
    const { connection } = await connected(house, front.url, { transport, protocol })
    connection.on('repeat', (...given) => given)
    connection.on('refuse', () => { throw new Error('not on a Sunday') })
    const ask = (target, args = '[]', id = connection.connectionId) =>
      house.call('POST', `/connections/${id}/:invoke`, `{"target":"${target}","arguments":${args}}`)
    const answered = await ask('repeat', VALUES)
    assert.equal(answered.status, 200)
    // As the client writes them: both encodings lose the sign of zero.
    assert.deepEqual(await answered.json(), { result: JSON.parse(JSON.stringify(JSON.parse(VALUES))) })
    for (const target of ['refuse', 'nobody knows']) assert.ok((await ask(target)).status >= 400, target)
    assert.equal((await ask('repeat', '[]', 'nobody')).status, 404)
  })

  test(`case 83: ${way}, clients of a service that was killed come to the next one by way of the app`, PATIENCE, async (t) => {
    const { house, front } = await housed(t)
    const adjust = builder => builder.withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => RETRY_MS })
    const { connection, next } = await connected(house, front.url, { transport, protocol, adjust })
    const before = connection.connectionId
    const [lost, back] = [inbox(), inbox()]
    connection.onreconnecting(lost.put)
    connection.onreconnected(back.put)
    await house.stop('SIGKILL')
    await lost.next()
    const another = await house.again()
    const after = await back.next()
    assert.notEqual(after, before)
    assert.equal(after, connection.connectionId)
    assert.ok(front.led() > 1)
    await another.send('["welcome back"]', `/connections/${after}`)
    assert.deepEqual(await next(), ['welcome back'])
  })
}

for (const protocol of [JSON_PROTOCOL, MESSAGEPACK]) {
  test(`case 84: with stateful reconnect, a wire that is cut loses nothing and doubles nothing (${protocol.name})`, PATIENCE, async (t) => {
    const upstream = await webhook(t, { say: () => 'heard' })
    const { house, line, front } = await wired(t, upstream.options)
    const { connection, next } = await connected(house, front.url, { protocol, adjust: stateful })
    const id = connection.connectionId
    const said = []
    connection.onreconnecting(() => said.push('reconnecting'))
    connection.onclose(() => said.push('closed'))
    await house.send('["before"]')
    assert.deepEqual(await next(), ['before'])

    line.holdBack()
    await house.send('["held back, one"]')
    await house.send('["held back, two"]')
    const [first] = line.webSockets()
    const arrived = () => messages(first, 'service', protocol).filter(({ type }) => type === MessageType.Invocation)
    await line.sees(() => arrived().length === 3)
    line.cut()
    await line.sees(() => line.waiting() === 1)
    await connection.send('say', 'meanwhile, one')
    await connection.send('say', 'meanwhile, two')
    line.mend()

    assert.deepEqual([await next(), await next()], [['held back, one'], ['held back, two']])
    await house.send('["after"]')
    assert.deepEqual(await next(), ['after'])
    assert.equal(await connection.invoke('say', 'after'), 'heard')
    const calls = upstream.posts.filter(({ event }) => event === 'say').map(post => post.arguments)
    assert.deepEqual(calls, [['meanwhile, one'], ['meanwhile, two'], ['after']])
    assert.deepEqual(upstream.posts.map(({ event }) => event), ['connected', 'say', 'say', 'say'])

    const [, second, ...further] = line.webSockets()
    assert.deepEqual(further, [])
    assert.deepEqual([handshakes(first), handshakes(second)], [[{ protocol: protocol.name, version: 2 }], []])
    for (const side of ['client', 'service']) assert.equal(messages(second, side, protocol)[0].type, MessageType.Sequence)
    assert.deepEqual([connection.connectionId, connection.state, front.led(), said], [id, HubConnectionState.Connected, 1, []])
  })
}

for (const [way, transport, protocol, adjust = asItIs] of [...WAYS, ['stateful JSON over WebSockets', WebSockets, JSON_PROTOCOL, stateful]]) {
  const reconnecting = builder => adjust(builder).withAutomaticReconnect([0])

  test(`case 66: ${way}, a client that a caller closes hears why only where its token says so, and stays away`, PATIENCE, async (t) => {
    const house = await service(t)
    const fronts = await Promise.all([{}, { 'asrs.s.derror': 'True' }].map(claims => app(t, () => house.invitation({ claims }))))
    const ends = await Promise.all(fronts.map(async ({ url }) => {
      const { connection } = await connected(house, url, { transport, protocol, adjust: reconnecting })
      const closed = inbox()
      connection.onclose(error => closed.put(error?.message))
      const response = await house.call('DELETE', `/connections/${connection.connectionId}`, undefined, '&reason=Good%20night')
      assert.equal(response.status, 200)
      return closed.next()
    }))
    assert.deepEqual(ends, [undefined, 'Server returned an error on close: Good night'])
    assert.deepEqual(fronts.map(({ led }) => led()), [1, 1])
  })

  test(`${way}, a client that a caller closes may come back where the service is set so`, PATIENCE, async (t) => {
    const { house, front } = await housed(t, ['--allow-reconnect'])
    const { connection, next } = await connected(house, front.url, { transport, protocol, adjust: reconnecting })
    const before = connection.connectionId
    const back = inbox()
    connection.onreconnected(back.put)
    connection.onclose(() => back.put('closed'))
    assert.equal((await house.call('POST', '/:closeConnections')).status, 204)
    const after = await back.next()
    assert.notEqual(after, 'closed')
    assert.notEqual(after, before)
    await house.send('["welcome back"]', `/connections/${after}`)
    assert.deepEqual(await next(), ['welcome back'])
  })
}

test('case 85: where the service has stateful reconnect switched off, a client that asks for it does without', PATIENCE, async (t) => {
  const { house, line, front } = await wired(t, ['--no-stateful-reconnect'])
  const { next } = await connected(house, front.url, { adjust: stateful })
  await house.send('["hello"]')
  assert.deepEqual(await next(), ['hello'])
  assert.deepEqual(line.webSockets().map(handshakes), [[{ protocol: 'json', version: 1 }]])
})
