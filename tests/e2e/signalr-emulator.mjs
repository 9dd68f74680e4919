// The SignalR service as a process of its own, with a caller of its REST API and an app that leads clients to it.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { handler } from './processes.mjs'
import { wire } from './tcp-proxy.mjs'

const LIFETIME_S = 3600

/** Starts `handler emulator` with `options`, on a free port if no other is given. All calls are about its hub `chat`. */
export async function service(t, options = [], port = '0') {
  const started = await handler(t, ['emulator', '--port', port, ...options])
  const [, url, key] = /^Endpoint=(.*?);AccessKey=(.*?);/.exec(started.told('connection'))

  async function call(method, path, body, query = '') {
    const resource = `${url}/api/hubs/chat${path}`
    const headers = { 'Authorization': `Bearer ${signed(key, { aud: resource })}`, 'Content-Type': 'application/json' }
    return fetch(`${resource}?api-version=2024-12-01${query}`, { method, headers, body })
  }

  return {
    ...started,
    url,
    port: new URL(url).port,
    call,
    /** Another one like it on the same port, which this one must have left. */
    again: () => service(t, options, new URL(url).port),
    /** Where a client connects and what it shows there; `at` is a way to this service by another address. */
    invitation: ({ at = url, claims } = {}) => ({
      url: `${at}/client/?hub=chat`, accessToken: signed(key, { aud: 'http://localhost/client/?hub=chat', ...claims }),
    }),
    /** Sends `newMessage`. The arguments are JSON as text, so that their numbers go out as they stand there. */
    async send(json, to = '') {
      const response = await call('POST', `${to}/:send`, `{"target":"newMessage","arguments":${json}}`)
      assert.equal(response.status, 202, await response.text())
    },
  }
}

/** What an app needs to have clients with this service: a negotiate function. It counts whom it has led to `invitation`. */
export async function app(t, invitation) {
  let led = 0
  const server = createServer((request, response) => {
    const isNegotiate = request.method === 'POST' && new URL(request.url, 'http://app').pathname === '/api/negotiate'
    if (!isNegotiate) return response.writeHead(404).end()
    led += 1
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(invitation()))
  })
  return { url: `${await listening(t, server)}/api`, led: () => led }
}

/** A service, and an app that leads its clients there. */
export async function housed(t, options = []) {
  const house = await service(t, options)
  return { house, front: await app(t, () => house.invitation()) }
}

/** The same with a wire that can be looked at and cut, over which the app leads them. */
export async function wired(t, options = []) {
  const house = await service(t, options)
  const line = await wire(t, house.port)
  return { house, line, front: await app(t, () => house.invitation({ at: line.url })) }
}

/** Has an HTTP server listen on a free port until the test is over; resolves with its address. */
export async function listening(t, server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${server.address().port}`
}

/** A token as every library makes it: HS256. */
function signed(key, claims) {
  const now = Math.floor(Date.now() / 1000)
  const parts = [{ alg: 'HS256', typ: 'JWT' }, { iat: now, nbf: now, exp: now + LIFETIME_S, ...claims }]
  const text = parts.map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}
