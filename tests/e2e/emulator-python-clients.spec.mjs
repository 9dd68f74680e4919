// Published clients for Python against the local SignalR service alone: by way of an app and directly, idle, and closed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JsonHubProtocol, MessageType } from '@microsoft/signalr'
import { handshakes, messages } from './hub-messages.mjs'
import { pythonClient } from './python-client.mjs'
import { housed, service, wired } from './signalr-emulator.mjs'
import { webhook } from './upstream-server.mjs'
import { Opcode, wire } from './tcp-proxy.mjs'

const JSON_PROTOCOL = new JsonHubProtocol()
// What never comes fails its test, and the others go on.
const PATIENCE = { timeout: 60_000 }
// Python's WebSockets wait up to five seconds before their second try.
const RETRY_SOON = { WEBSOCKETS_BACKOFF_INITIAL_DELAY: '0.05', WEBSOCKETS_BACKOFF_MIN_DELAY: '0.05' }
/** As JSON, the way Python writes it: nothing is lost in reading and writing it again. */
const EXACT = '[9007199254740993,18446744073709551615,-9223372036854775808,0.1,1.0,"grüße 🦀","2026-02-30T25:61:00Z",{"a":[null,true]}]'
/** The same for what it writes with spaces and in ASCII. */
const NUMBERS = '[9007199254740993,18446744073709551615,-9223372036854775808,0.1,1.0]'

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

for (const protocol of ['json', 'messagepack']) {
  test(`case 71: a caller gets pysignalr's own answer with ${protocol}`, PATIENCE, async (t) => {
    const upstream = await webhook(t)
    const { house, front } = await housed(t, upstream.options)
    const client = pythonClient(t, 'pysignalr', [front.url, '--protocol', protocol])
    assert.equal(await client.next(), 'open')
    const connection = await upstream.arrival()
    const answered = await house.call('POST', `/connections/${connection}/:invoke`, `{"target":"repeat","arguments":${NUMBERS}}`)
    const result = (await answered.text()).replaceAll(', ', ',')
    assert.equal(result, `{"result":${NUMBERS}}`)
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
    const { house, line, front } = await wired(t)
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
    await line.sees(() => messages(frames, 'service', JSON_PROTOCOL).some(({ type }) => type === MessageType.Ping))
    const of = (from, opcode) => frames.filter(frame => frame.from === from && frame.opcode === opcode).map(({ payload }) => payload)
    if (name === 'pysignalr') await line.sees(() => of('service', Opcode.PONG).length > 1)
    const pongs = of('service', Opcode.PONG)
    assert.deepEqual(pongs, of('client', Opcode.PING).slice(0, pongs.length))
    assert.deepEqual(of('service', Opcode.PING), [], 'signalrcore would take it for data')
  }
  await house.send('["still there?"]')
  for (const { client } of visitors) assert.equal(await client.next(), 'received ["still there?"]')
})
