// The published clients against the local SignalR service alone: every transport, every protocol, and bad wires.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpTransportType, HubConnectionBuilder, HubConnectionState, JsonHubProtocol, LogLevel, MessageType, NullLogger } from '@microsoft/signalr'
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack'
import { inbox } from './inbox.mjs'
import { pythonClient } from './python.mjs'
import { app, service } from './service.mjs'
import { webhook } from './webhook.mjs'
import { Opcode, wire } from './wire.mjs'

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
// Python's WebSockets wait up to five seconds before their second try.
const RETRY_SOON = { WEBSOCKETS_BACKOFF_INITIAL_DELAY: '0.05', WEBSOCKETS_BACKOFF_MIN_DELAY: '0.05' }

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
/** The same way Python writes it: nothing is lost in reading and writing it again. */
const EXACT = '[9007199254740993,18446744073709551615,-9223372036854775808,0.1,1.0,"grüße 🦀","2026-02-30T25:61:00Z",{"a":[null,true]}]'

/** Connects over `transport`; `next` are the arguments of the messages as they come. */
async function connected(house, url, { transport = WebSockets, protocol = JSON_PROTOCOL, adjust = builder => builder } = {}) {
  const builder = new HubConnectionBuilder().withUrl(url, { transport }).withHubProtocol(protocol).configureLogging(LogLevel.None)
  const connection = adjust(builder).build()
  const messages = inbox()
  connection.on('newMessage', (...args) => messages.put(args))
  await connection.start()
  house.beforeEnd(() => connection.stop())
  return { connection, next: messages.next }
}

/** A service, and an app that leads its clients there. */
async function housed(t, options = [], invitation = {}) {
  const house = await service(t, options)
  return { house, front: await app(t, () => house.invitation(invitation)) }
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

/** What one side said over a WebSocket after the handshake; fails on anything that is no message. */
function messages(frames, from, protocol, { afterHandshake = false } = {}) {
  const own = frames.filter(frame => frame.from === from && [Opcode.TEXT, Opcode.BINARY].includes(frame.opcode))
  const read = ({ payload }) => protocol.parseMessages(payloadOf(protocol, payload), NullLogger.instance)
  return own.slice(afterHandshake ? 1 : 0).flatMap(read)
}

function payloadOf(protocol, payload) {
  return protocol === MESSAGEPACK ? payload.buffer : Buffer.from(payload).toString()
}

const handshakes = frames => frames.filter(frame => Buffer.from(frame.payload).toString().startsWith('{"protocol"'))
  .map(frame => JSON.parse(Buffer.from(frame.payload).toString().split('\u001e')[0]))

for (const protocol of [JSON_PROTOCOL, MESSAGEPACK]) {
  test(`case 84: with stateful reconnect, a wire that is cut loses nothing and doubles nothing (${protocol.name})`, PATIENCE, async (t) => {
    const upstream = await webhook(t, { say: () => 'heard' })
    const house = await service(t, upstream.options)
    const line = await wire(t, house.port)
    const front = await app(t, () => house.invitation({ at: line.url }))
    const adjust = builder => builder.withStatefulReconnect()
    const { connection, next } = await connected(house, front.url, { protocol, adjust })
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
    await line.sees(() => messages(first, 'service', protocol, { afterHandshake: true }).filter(({ type }) => type === MessageType.Invocation).length === 3)
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

for (const [way, transport, protocol, adjust] of [...WAYS, ['stateful JSON over WebSockets', WebSockets, JSON_PROTOCOL, builder => builder.withStatefulReconnect()]]) {
  test(`case 66: ${way}, a client that a caller closes hears why only where its token says so, and stays away`, PATIENCE, async (t) => {
    const house = await service(t)
    const fronts = await Promise.all([{}, { 'asrs.s.derror': 'True' }].map(claims => app(t, () => house.invitation({ claims }))))
    const stays = builder => (adjust?.(builder) ?? builder).withAutomaticReconnect([0])
    const ends = await Promise.all(fronts.map(async ({ url }) => {
      const { connection } = await connected(house, url, { transport, protocol, adjust: stays })
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
    const returns = builder => (adjust?.(builder) ?? builder).withAutomaticReconnect([0])
    const { connection, next } = await connected(house, front.url, { transport, protocol, adjust: returns })
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

test('case 87: a caller that closes pysignalr without a reason closes its socket too, and pysignalr comes again', PATIENCE, async (t) => {
  const { house, front } = await housed(t)
  const client = pythonClient(t, 'pysignalr', [front.url])
  assert.equal(await client.next(), 'open')
  assert.equal((await house.call('POST', '/:closeConnections')).status, 204)
  assert.equal(await client.next(), 'close')
  assert.equal(await client.next(), 'open')
  await house.send('["welcome back"]')
  assert.equal(await client.next(), 'received ["welcome back"]')
})

test('case 85: where the service has stateful reconnect switched off, a client that asks for it does without', PATIENCE, async (t) => {
  const house = await service(t, ['--no-stateful-reconnect'])
  const line = await wire(t, house.port)
  const front = await app(t, () => house.invitation({ at: line.url }))
  const { next } = await connected(house, front.url, { adjust: builder => builder.withStatefulReconnect() })
  await house.send('["hello"]')
  assert.deepEqual(await next(), ['hello'])
  assert.deepEqual(line.webSockets().map(handshakes), [[{ protocol: 'json', version: 1 }]])
})

for (const protocol of ['json', 'messagepack']) {
  for (const [how, led] of [['by way of an app', true], ['directly', false]]) {
    test(`case 86: pysignalr comes ${how} with ${protocol}, and gets exact values`, PATIENCE, async (t) => {
      const { house, front } = await housed(t)
      const { url, accessToken } = house.invitation()
      const client = pythonClient(t, 'pysignalr', [led ? front.url : url, '--protocol', protocol], led ? {} : { ACCESS_TOKEN: accessToken })
      assert.equal(await client.next(), 'open')
      await house.send(EXACT)
      assert.equal(await client.next(), `received ${EXACT}`)
      assert.equal(front.led(), led ? 1 : 0)
    })
  }
}

test('case 87: a service that stops closes the socket of a client that does not, and pysignalr comes to the next one', PATIENCE, async (t) => {
  const { house, front } = await housed(t)
  const client = pythonClient(t, 'pysignalr', [front.url], RETRY_SOON)
  assert.equal(await client.next(), 'open')
  assert.equal(await house.stop(), 0)
  assert.equal(await client.next(), 'close')
  const another = await house.again()
  assert.equal(await client.next(), 'open')
  await another.send('["welcome back"]')
  assert.equal(await client.next(), 'received ["welcome back"]')
})

for (const [how, led] of [['by way of an app, with MessagePack', true], ['directly, with JSON', false]]) {
  test(`case 88: signalrcore as it is comes ${how}, and gets exact values`, PATIENCE, async (t) => {
    const house = await service(t)
    const line = await wire(t, house.port)
    const front = await app(t, () => house.invitation({ at: line.url }))
    const { url, accessToken } = house.invitation({ at: line.url })
    const client = pythonClient(t, 'signalrcore', [led ? front.url : url], led ? {} : { ACCESS_TOKEN: accessToken })
    assert.equal(await client.next(), 'open')
    await house.send(EXACT)
    assert.equal(await client.next(), `received ${EXACT}`)
    const agreed = led ? { protocol: 'messagepack', version: 1 } : { protocol: 'json', version: 0 }
    assert.deepEqual(line.webSockets().map(handshakes), [[agreed]])
  })
}

test('cases 86 and 88: clients with nothing to hear stay, each pinged the way it understands', PATIENCE, async (t) => {
  const house = await service(t)
  const { accessToken } = house.invitation()
  const visitors = await Promise.all([['pysignalr', '--ping-interval', '1'], ['signalrcore']].map(async ([name, ...args]) => {
    const line = await wire(t, house.port)
    const client = pythonClient(t, name, [house.invitation({ at: line.url }).url, ...args], { ACCESS_TOKEN: accessToken })
    assert.equal(await client.next(), 'open')
    return { name, line, client, frames: line.webSockets()[0] }
  }))
  for (const { name, line, frames } of visitors) {
    await line.sees(() => messages(frames, 'service', JSON_PROTOCOL, { afterHandshake: true }).some(({ type }) => type === MessageType.Ping))
    const of = (from, opcode) => frames.filter(frame => frame.from === from && frame.opcode === opcode).map(({ payload }) => payload)
    if (name === 'pysignalr') await line.sees(() => of('service', Opcode.PONG).length > 1)
    const pongs = of('service', Opcode.PONG)
    assert.deepEqual(pongs, of('client', Opcode.PING).slice(0, pongs.length))
    assert.deepEqual(of('service', Opcode.PING), [], 'signalrcore would take it for data')
  }
  await house.send('["still there?"]')
  for (const { client } of visitors) assert.equal(await client.next(), 'received ["still there?"]')
})
