// Microsoft's JavaScript client against the SignalR emulator: all transports and protocols, and broken connections.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpTransportType, HubConnectionBuilder, HubConnectionState, JsonHubProtocol, LogLevel, MessageType } from '@microsoft/signalr'
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack'
import { handshakes, messages } from './hub-messages.mjs'
import { asyncQueue } from './async-queue.mjs'
import { emulatorWithApp, emulatorWithProxy, negotiateApp, signalREmulator } from './signalr-emulator.mjs'
import { upstreamServer } from './upstream-server.mjs'

const { WebSockets, ServerSentEvents, LongPolling } = HttpTransportType
const JSON_PROTOCOL = new JsonHubProtocol()
const MESSAGEPACK = new MessagePackHubProtocol()
const TRANSPORTS = [
  ['JSON over WebSockets', WebSockets, JSON_PROTOCOL],
  ['JSON over Server-Sent Events', ServerSentEvents, JSON_PROTOCOL],
  ['JSON over long polling', LongPolling, JSON_PROTOCOL],
  ['MessagePack over WebSockets', WebSockets, MESSAGEPACK],
  ['MessagePack over long polling', LongPolling, MESSAGEPACK],
]
const TIMEOUT = { timeout: 60_000 }
const RETRY_MS = 50

const nested = depth => depth === 0 ? '"bottom"' : `{"deeper":[${nested(depth - 1)}]}`
const sized = length => `"${'x'.repeat(length)}"`
/** JSON of twelve arguments, with values that are difficult to encode in JSON or MessagePack. */
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

const unchanged = builder => builder
const stateful = builder => builder.withStatefulReconnect()

/** Connects over `transport`; `next` resolves with the arguments of the next message. */
async function connected(emulator, url, { transport = WebSockets, protocol = JSON_PROTOCOL, adjust = unchanged } = {}) {
  const builder = new HubConnectionBuilder().withUrl(url, { transport }).withHubProtocol(protocol).configureLogging(LogLevel.None)
  const connection = adjust(builder).build()
  const received = asyncQueue()
  connection.on('newMessage', (...args) => received.push(args))
  await connection.start()
  emulator.beforeEnd(() => connection.stop())
  return { connection, next: received.next }
}

for (const [name, transport, protocol] of TRANSPORTS) {
  test(`${name}, all values arrive unchanged, and REST calls reach the client by its connection id`, TIMEOUT, async (t) => {
    const { emulator, app } = await emulatorWithApp(t)
    const client = await connected(emulator, app.url, { transport, protocol })
    const other = await connected(emulator, app.url, { transport, protocol })
    await emulator.send(VALUES)
    for (const { next } of [client, other]) assert.deepEqual(await next(), JSON.parse(VALUES))
    await emulator.send('["only you"]', `/connections/${client.connection.connectionId}`)
    await emulator.send('["both"]')
    assert.deepEqual([await client.next(), await client.next()], [['only you'], ['both']])
    assert.deepEqual(await other.next(), ['both'])
  })

  test(`${name}, invocations are answered by the upstream`, TIMEOUT, async (t) => {
    const upstream = await upstreamServer(t, {
      repeat: (...given) => given,
      forget: () => undefined,
      refuse: () => { throw new Error('refused by the test') },
    })
    const { emulator, app } = await emulatorWithApp(t, upstream.options)
    const { connection } = await connected(emulator, app.url, { transport, protocol })
    // Both encodings of the client lose the sign of zero.
    const values = JSON.parse(JSON.stringify(JSON.parse(VALUES)))
    assert.deepEqual(await connection.invoke('repeat', ...values), values)
    assert.equal(await connection.invoke('forget') ?? null, null)
    await assert.rejects(connection.invoke('refuse'), /refused by the test/)
    await connection.send('repeat', 'no result')
    assert.deepEqual(await connection.invoke('repeat', 1), [1])
    assert.deepEqual(upstream.events.map(({ event }) => event), ['connected', 'repeat', 'forget', 'refuse', 'repeat', 'repeat'])
    assert.ok(upstream.events.every(event => event.connection === connection.connectionId))
  })

  test(`${name}, a REST invocation returns the result or the error of the client`, TIMEOUT, async (t) => {
    const { emulator, app } = await emulatorWithApp(t)
    const { connection } = await connected(emulator, app.url, { transport, protocol })
    connection.on('repeat', (...given) => given)
    connection.on('refuse', () => { throw new Error('refused by the test') })
    const invoke = (target, args = '[]', id = connection.connectionId) =>
      emulator.call('POST', `/connections/${id}/:invoke`, `{"target":"${target}","arguments":${args}}`)
    const answered = await invoke('repeat', VALUES)
    assert.equal(answered.status, 200)
    // Both encodings of the client lose the sign of zero.
    assert.deepEqual(await answered.json(), { result: JSON.parse(JSON.stringify(JSON.parse(VALUES))) })
    for (const target of ['refuse', 'unknown']) assert.ok((await invoke(target)).status >= 400, target)
    assert.equal((await invoke('repeat', '[]', 'unknown')).status, 404)
  })

  test(`${name}, clients reconnect through the app after the service is killed and restarted`, TIMEOUT, async (t) => {
    const { emulator, app } = await emulatorWithApp(t)
    const adjust = builder => builder.withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => RETRY_MS })
    const { connection, next } = await connected(emulator, app.url, { transport, protocol, adjust })
    const before = connection.connectionId
    const [reconnecting, reconnected] = [asyncQueue(), asyncQueue()]
    connection.onreconnecting(reconnecting.push)
    connection.onreconnected(reconnected.push)
    await emulator.stop('SIGKILL')
    await reconnecting.next()
    const restarted = await emulator.restart()
    const after = await reconnected.next()
    assert.notEqual(after, before)
    assert.equal(after, connection.connectionId)
    assert.ok(app.negotiateCount() > 1)
    await restarted.send('["welcome back"]', `/connections/${after}`)
    assert.deepEqual(await next(), ['welcome back'])
  })
}

for (const protocol of [JSON_PROTOCOL, MESSAGEPACK]) {
  test(`with stateful reconnect, a lost connection loses and duplicates no messages (${protocol.name})`, TIMEOUT, async (t) => {
    const upstream = await upstreamServer(t, { say: () => 'ok' })
    const { emulator, proxy, app } = await emulatorWithProxy(t, upstream.options)
    const { connection, next } = await connected(emulator, app.url, { protocol, adjust: stateful })
    const id = connection.connectionId
    const states = []
    connection.onreconnecting(() => states.push('reconnecting'))
    connection.onclose(() => states.push('closed'))
    await emulator.send('["before"]')
    assert.deepEqual(await next(), ['before'])

    proxy.dropFromService()
    await emulator.send('["buffered, one"]')
    await emulator.send('["buffered, two"]')
    const [first] = proxy.webSockets()
    const invocations = () => messages(first, 'service', protocol).filter(({ type }) => type === MessageType.Invocation)
    await proxy.waitUntil(() => invocations().length === 3)
    proxy.disconnect()
    await proxy.waitUntil(() => proxy.pendingCount() === 1)
    await connection.send('say', 'meanwhile, one')
    await connection.send('say', 'meanwhile, two')
    proxy.reconnect()

    assert.deepEqual([await next(), await next()], [['buffered, one'], ['buffered, two']])
    await emulator.send('["after"]')
    assert.deepEqual(await next(), ['after'])
    assert.equal(await connection.invoke('say', 'after'), 'ok')
    const calls = upstream.events.filter(({ event }) => event === 'say').map(event => event.arguments)
    assert.deepEqual(calls, [['meanwhile, one'], ['meanwhile, two'], ['after']])
    assert.deepEqual(upstream.events.map(({ event }) => event), ['connected', 'say', 'say', 'say'])

    const [, second, ...further] = proxy.webSockets()
    assert.deepEqual(further, [])
    assert.deepEqual([handshakes(first), handshakes(second)], [[{ protocol: protocol.name, version: 2 }], []])
    for (const side of ['client', 'service']) assert.equal(messages(second, side, protocol)[0].type, MessageType.Sequence)
    assert.deepEqual([connection.connectionId, connection.state, app.negotiateCount(), states], [id, HubConnectionState.Connected, 1, []])
  })
}

for (const [name, transport, protocol, adjust = unchanged] of [...TRANSPORTS, ['stateful JSON over WebSockets', WebSockets, JSON_PROTOCOL, stateful]]) {
  const reconnecting = builder => adjust(builder).withAutomaticReconnect([0])

  test(`${name}, a client that is closed over REST gets the reason only if its token allows it, and does not reconnect`, TIMEOUT, async (t) => {
    const emulator = await signalREmulator(t)
    const apps = await Promise.all([{}, { 'asrs.s.derror': 'True' }].map(claims => negotiateApp(t, () => emulator.negotiateResponse({ claims }))))
    const errors = await Promise.all(apps.map(async ({ url }) => {
      const { connection } = await connected(emulator, url, { transport, protocol, adjust: reconnecting })
      const closed = asyncQueue()
      connection.onclose(error => closed.push(error?.message))
      const response = await emulator.call('DELETE', `/connections/${connection.connectionId}`, undefined, '&reason=Maintenance')
      assert.equal(response.status, 200)
      return closed.next()
    }))
    assert.deepEqual(errors, [undefined, 'Server returned an error on close: Maintenance'])
    assert.deepEqual(apps.map(({ negotiateCount }) => negotiateCount()), [1, 1])
  })

  test(`${name}, a client that is closed over REST reconnects with --allow-reconnect`, TIMEOUT, async (t) => {
    const { emulator, app } = await emulatorWithApp(t, ['--allow-reconnect'])
    const { connection, next } = await connected(emulator, app.url, { transport, protocol, adjust: reconnecting })
    const before = connection.connectionId
    const outcome = asyncQueue()
    connection.onreconnected(outcome.push)
    connection.onclose(() => outcome.push('closed'))
    assert.equal((await emulator.call('POST', '/:closeConnections')).status, 204)
    const after = await outcome.next()
    assert.notEqual(after, 'closed')
    assert.notEqual(after, before)
    await emulator.send('["welcome back"]', `/connections/${after}`)
    assert.deepEqual(await next(), ['welcome back'])
  })
}

test('with --no-stateful-reconnect, a client that requests it connects without', TIMEOUT, async (t) => {
  const { emulator, proxy, app } = await emulatorWithProxy(t, ['--no-stateful-reconnect'])
  const { next } = await connected(emulator, app.url, { adjust: stateful })
  await emulator.send('["hello"]')
  assert.deepEqual(await next(), ['hello'])
  assert.deepEqual(proxy.webSockets().map(handshakes), [[{ protocol: 'json', version: 1 }]])
})
