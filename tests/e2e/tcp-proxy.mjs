// A TCP proxy that records WebSocket frames, and that a test can pause and disconnect.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const END_OF_HEAD = '\r\n\r\n'
export const Opcode = { TEXT: 1, BINARY: 2, PING: 9, PONG: 10 }

/** Starts a proxy to the local `port`; clients connect to `url`. */
export async function tcpProxy(t, port) {
  const pairs = []
  const listeners = new Set()
  const notify = () => listeners.forEach(listener => listener())
  let isDropping = false
  let isBlackHole = false
  let held
  let isDisconnected = false
  let pending = []

  function forward(client) {
    const service = connect(port, '127.0.0.1')
    const [toService, toClient] = [new FrameParser(), new FrameParser()]
    const pair = { client, service, toService, frames: [] }
    pairs.push(pair)
    client.on('data', (bytes) => {
      if (isBlackHole) return
      service.write(bytes)
      record(pair, 'client', toService.push(bytes))
      notify()
    })
    service.on('data', (bytes) => {
      if (isBlackHole) return
      if (held !== undefined && pair.toService.isWebSocket) held.push(() => client.write(bytes))
      else if (!isDropping) client.write(bytes)
      record(pair, 'service', toClient.push(bytes))
      notify()
    })
    for (const [one, other] of [[client, service], [service, client]]) one.on('close', () => other.end()).on('error', () => {})
    client.resume()
  }

  function resetAll() {
    for (const { client, service } of pairs) [client, service].forEach(socket => socket.destroy())
  }

  const server = createServer({ pauseOnConnect: true }, (client) => {
    client.on('error', () => {})
    if (isDisconnected || isBlackHole) pending.push(client)
    else forward(client)
    notify()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of [...pending, ...pairs.flatMap(({ client, service }) => [client, service])]) socket.destroy()
  })

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Resolves when `condition` holds; it is checked after each event. */
    waitUntil: condition => new Promise((resolve) => {
      const listener = () => {
        if (!condition()) return
        listeners.delete(listener)
        resolve()
      }
      listeners.add(listener)
      listener()
    }),
    /** The frames of each WebSocket in the order of arrival; `from` is 'client' or 'service'. */
    webSockets: () => pairs.filter(({ toService }) => toService.isWebSocket).map(({ frames }) => frames),
    /** Drops everything that the service sends from now on. */
    dropFromService() { isDropping = true },
    /** Holds back what the service sends over WebSockets until `release`. */
    hold() { held = [] },
    release() {
      const writes = held
      held = undefined
      for (const write of writes) write()
    },
    /** Resets all connections. New clients wait. */
    disconnect() {
      isDisconnected = true
      resetAll()
    },
    /** Keeps all connections open, and loses what is sent in both directions. New clients wait. */
    blackHole() { isBlackHole = true },
    /** The number of clients that wait for `reconnect`. */
    pendingCount: () => pending.length,
    /** Ends `disconnect`, `blackHole` and `dropFromService`. Connections that have lost something are reset. */
    reconnect() {
      if (isBlackHole) resetAll()
      isDisconnected = isBlackHole = isDropping = false
      pending.splice(0).forEach(forward)
    },
  }
}

function record(pair, from, frames) {
  for (const frame of frames) pair.frames.push({ from, ...frame })
}

/** Parses the WebSocket frames of one direction, after the HTTP head. */
class FrameParser {
  head = ''
  #rest = Buffer.alloc(0)

  get isWebSocket() {
    return /^upgrade: *websocket/im.test(this.head)
  }

  push(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (this.head === '') {
      const end = this.#rest.indexOf(END_OF_HEAD)
      if (end < 0) return []
      this.head = this.#rest.toString('latin1', 0, end)
      this.#rest = this.#rest.subarray(end + END_OF_HEAD.length)
    }
    return this.isWebSocket ? [...this.#parseFrames()] : []
  }

  * #parseFrames() {
    while (this.#rest.length >= 2) {
      const [first, second] = this.#rest
      const sizeBytes = { 126: 2, 127: 8 }[second & 127] ?? 0
      const maskAt = 2 + sizeBytes
      const payloadAt = maskAt + (second & 128 ? 4 : 0)
      if (this.#rest.length < payloadAt) return
      const size = sizeBytes === 0 ? second & 127 : Number(`0x${this.#rest.toString('hex', 2, maskAt)}`)
      if (this.#rest.length < payloadAt + size) return
      const mask = this.#rest.subarray(maskAt, payloadAt)
      const payload = Uint8Array.from(this.#rest.subarray(payloadAt, payloadAt + size), (byte, at) => byte ^ (mask[at % 4] ?? 0))
      this.#rest = this.#rest.subarray(payloadAt + size)
      yield { opcode: first & 15, payload }
    }
  }
}
