// The published Python clients against the SignalR emulator: through an app and directly, idle, and closed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JsonHubProtocol, MessageType } from '@microsoft/signalr'
import { handshakes, messages } from './hub-messages.mjs'
import { pythonClient } from './python-client.mjs'
import { emulatorWithApp, emulatorWithProxy, signalREmulator } from './signalr-emulator.mjs'
import { upstreamServer } from './upstream-server.mjs'
import { Opcode, tcpProxy } from './tcp-proxy.mjs'

const JSON_PROTOCOL = new JsonHubProtocol()
const TIMEOUT = { timeout: 60_000 }
// Python's websockets waits up to five seconds before its first retry.
const RETRY_SOON = { WEBSOCKETS_BACKOFF_INITIAL_DELAY: '0.05', WEBSOCKETS_BACKOFF_MIN_DELAY: '0.05' }
/** JSON as Python writes it, with values that other JSON libraries change. */
const EXACT = '[9007199254740993,18446744073709551615,-9223372036854775808,0.1,1.0,"grüße 🦀","2026-02-30T25:61:00Z",{"a":[null,true]}]'
/** Without text, which pysignalr escapes in results. */
const NUMBERS = '[9007199254740993,18446744073709551615,-9223372036854775808,0.1,1.0]'

for (const protocol of ['json', 'messagepack']) {
  for (const [how, negotiates] of [['through an app', true], ['directly', false]]) {
    test(`pysignalr connects ${how} with ${protocol} and receives exact values`, TIMEOUT, async (t) => {
      const { emulator, app } = await emulatorWithApp(t)
      const { url, accessToken } = emulator.negotiateResponse()
      const client = pythonClient(t, 'pysignalr', [negotiates ? app.url : url, '--protocol', protocol], negotiates ? {} : { ACCESS_TOKEN: accessToken })
      assert.equal(await client.next(), 'open')
      await emulator.send(EXACT)
      assert.equal(await client.next(), `received ${EXACT}`)
      assert.equal(app.negotiateCount(), negotiates ? 1 : 0)
    })
  }
}

for (const protocol of ['json', 'messagepack']) {
  test(`a REST invocation returns the result of pysignalr with ${protocol}`, TIMEOUT, async (t) => {
    const upstream = await upstreamServer(t)
    const { emulator, app } = await emulatorWithApp(t, upstream.options)
    const client = pythonClient(t, 'pysignalr', [app.url, '--protocol', protocol])
    assert.equal(await client.next(), 'open')
    const connection = await upstream.nextConnection()
    const response = await emulator.call('POST', `/connections/${connection}/:invoke`, `{"target":"repeat","arguments":${NUMBERS}}`)
    const result = (await response.text()).replaceAll(', ', ',')
    assert.equal(result, `{"result":${NUMBERS}}`)
  })
}

test('pysignalr reconnects after it is closed over REST', TIMEOUT, async (t) => {
  const { emulator, app } = await emulatorWithApp(t)
  const client = pythonClient(t, 'pysignalr', [app.url])
  assert.equal(await client.next(), 'open')
  assert.equal((await emulator.call('POST', '/:closeConnections')).status, 204)
  assert.equal(await client.next(), 'close')
  assert.equal(await client.next(), 'open')
  await emulator.send('["welcome back"]')
  assert.equal(await client.next(), 'received ["welcome back"]')
})

test('pysignalr reconnects after the service is stopped and restarted', TIMEOUT, async (t) => {
  const { emulator, app } = await emulatorWithApp(t)
  const client = pythonClient(t, 'pysignalr', [app.url], RETRY_SOON)
  assert.equal(await client.next(), 'open')
  assert.equal(await emulator.stop(), 0)
  assert.equal(await client.next(), 'close')
  const restarted = await emulator.restart()
  assert.equal(await client.next(), 'open')
  await restarted.send('["welcome back"]')
  assert.equal(await client.next(), 'received ["welcome back"]')
})

for (const [how, negotiates] of [['through an app with MessagePack', true], ['directly with JSON', false]]) {
  test(`signalrcore connects ${how} and receives exact values`, TIMEOUT, async (t) => {
    const { emulator, proxy, app } = await emulatorWithProxy(t)
    const { url, accessToken } = emulator.negotiateResponse({ at: proxy.url })
    const client = pythonClient(t, 'signalrcore', [negotiates ? app.url : url], negotiates ? {} : { ACCESS_TOKEN: accessToken })
    assert.equal(await client.next(), 'open')
    await emulator.send(EXACT)
    assert.equal(await client.next(), `received ${EXACT}`)
    const agreed = negotiates ? { protocol: 'messagepack', version: 1 } : { protocol: 'json', version: 0 }
    assert.deepEqual(proxy.webSockets().map(handshakes), [[agreed]])
  })
}

test('idle clients stay connected with the kind of ping that each supports', TIMEOUT, async (t) => {
  const emulator = await signalREmulator(t)
  const { accessToken } = emulator.negotiateResponse()
  const clients = await Promise.all([['pysignalr', '--ping-interval', '1'], ['signalrcore']].map(async ([name, ...args]) => {
    const proxy = await tcpProxy(t, emulator.port)
    const client = pythonClient(t, name, [emulator.negotiateResponse({ at: proxy.url }).url, ...args], { ACCESS_TOKEN: accessToken })
    assert.equal(await client.next(), 'open')
    return { name, proxy, client, frames: proxy.webSockets()[0] }
  }))
  for (const { name, proxy, frames } of clients) {
    await proxy.waitUntil(() => messages(frames, 'service', JSON_PROTOCOL).some(({ type }) => type === MessageType.Ping))
    const of = (from, opcode) => frames.filter(frame => frame.from === from && frame.opcode === opcode).map(({ payload }) => payload)
    if (name === 'pysignalr') await proxy.waitUntil(() => of('service', Opcode.PONG).length > 1)
    const pongs = of('service', Opcode.PONG)
    assert.deepEqual(pongs, of('client', Opcode.PING).slice(0, pongs.length))
    assert.deepEqual(of('service', Opcode.PING), [], 'signalrcore treats WebSocket pings as data')
  }
  await emulator.send('["still there?"]')
  for (const { client } of clients) assert.equal(await client.next(), 'received ["still there?"]')
})
