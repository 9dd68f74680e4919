// A wire to the service that a test can look at and cut: TCP, with the WebSocket frames that went over it.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const END_OF_HEAD = '\r\n\r\n'
export const Opcode = { TEXT: 1, BINARY: 2, PING: 9, PONG: 10 }

/** A wire to this machine's `port`, through which clients come at `url`. */
export async function wire(t, port) {
  const pairs = []
  const watchers = new Set()
  const changed = () => watchers.forEach(watch => watch())
  let isHeldBack = false
  let isCut = false
  let waiting = []

  function join(client) {
    const service = connect(port, '127.0.0.1')
    const [toService, toClient] = [new Frames(), new Frames()]
    const pair = { client, service, toService, frames: [] }
    pairs.push(pair)
    client.on('data', (bytes) => {
      service.write(bytes)
      note(pair, 'client', toService.push(bytes))
      changed()
    })
    service.on('data', (bytes) => {
      if (!isHeldBack) client.write(bytes)
      note(pair, 'service', toClient.push(bytes))
      changed()
    })
    for (const [one, other] of [[client, service], [service, client]]) one.on('close', () => other.end()).on('error', () => {})
    client.resume()
  }

  const server = createServer({ pauseOnConnect: true }, (client) => {
    client.on('error', () => {})
    if (isCut) waiting.push(client)
    else join(client)
    changed()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of [...waiting, ...pairs.flatMap(({ client, service }) => [client, service])]) socket.destroy()
  })

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Resolves once `condition` holds, of what has gone over the wire. */
    sees: condition => new Promise((resolve) => {
      const watch = () => {
        if (!condition()) return
        watchers.delete(watch)
        resolve()
      }
      watchers.add(watch)
      watch()
    }),
    /** The frames of the WebSockets, in the order they came: each `from` the 'client' or the 'service'. */
    webSockets: () => pairs.filter(({ toService }) => toService.isWebSocket).map(({ frames }) => frames),
    /** From now on clients hear nothing from the service. */
    holdBack() { isHeldBack = true },
    /** Ends every connection without a word. Who comes then waits. */
    cut() {
      isCut = true
      for (const { client, service } of pairs) [client, service].forEach(socket => socket.destroy())
    },
    /** How many wait for the wire to be mended. */
    waiting: () => waiting.length,
    mend() {
      isCut = isHeldBack = false
      waiting.splice(0).forEach(join)
    },
  }
}

function note(pair, from, frames) {
  for (const frame of frames) pair.frames.push({ from, ...frame })
}

/** Takes the frames out of one direction of a WebSocket. Of any other connection there is only the first head. */
class Frames {
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
    return this.isWebSocket ? [...this.#frames()] : []
  }

  * #frames() {
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
