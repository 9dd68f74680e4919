// The SignalR emulator as a process, with a client of its REST API, and an app with a negotiate endpoint for it.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { startEmulator } from './processes.mjs'
import { tcpProxy } from './tcp-proxy.mjs'

const TOKEN_LIFETIME_SECONDS = 3600

/** Starts the emulator with `options`. All calls are for the hub `chat`. */
export async function signalREmulator(t, options = [], port = '0') {
  const process = await startEmulator(t, ['--port', port, ...options])
  const [, url, key] = /^Endpoint=(.*?);AccessKey=(.*?);/.exec(process.printed('connection'))

  async function call(method, path, body, query = '') {
    const resource = `${url}/api/hubs/chat${path}`
    const headers = { 'Authorization': `Bearer ${accessToken(key, { aud: resource })}`, 'Content-Type': 'application/json' }
    return fetch(`${resource}?api-version=2024-12-01${query}`, { method, headers, body })
  }

  return {
    ...process,
    url,
    port: new URL(url).port,
    call,
    /** Starts a new emulator with the same options on the same port, after this one was stopped. */
    restart: () => signalREmulator(t, options, new URL(url).port),
    /** The negotiate response for a client; `at` replaces the URL of the emulator. */
    negotiateResponse: ({ at = url, claims } = {}) => ({
      url: `${at}/client/?hub=chat`, accessToken: accessToken(key, { aud: 'http://localhost/client/?hub=chat', ...claims }),
    }),
    /** Sends `newMessage`. The arguments are JSON text, so that numbers are sent exactly. */
    async send(json, to = '') {
      const response = await call('POST', `${to}/:send`, `{"target":"newMessage","arguments":${json}}`)
      assert.equal(response.status, 202, await response.text())
    },
  }
}

/** Starts an app with a negotiate endpoint, which returns `negotiateResponse()` and counts its requests. */
export async function negotiateApp(t, negotiateResponse) {
  let count = 0
  const server = createServer((request, response) => {
    const isNegotiate = request.method === 'POST' && new URL(request.url, 'http://app').pathname === '/api/negotiate'
    if (!isNegotiate) return response.writeHead(404).end()
    count += 1
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(negotiateResponse()))
  })
  return { url: `${await listen(t, server)}/api`, negotiateCount: () => count }
}

/** An emulator, and an app for it. */
export async function emulatorWithApp(t, options = []) {
  const emulator = await signalREmulator(t, options)
  return { emulator, app: await negotiateApp(t, () => emulator.negotiateResponse()) }
}

/** An emulator, and an app that directs clients to it through a TCP proxy. */
export async function emulatorWithProxy(t, options = []) {
  const emulator = await signalREmulator(t, options)
  const proxy = await tcpProxy(t, emulator.port)
  return { emulator, proxy, app: await negotiateApp(t, () => emulator.negotiateResponse({ at: proxy.url })) }
}

/** Starts an HTTP server on a free port until the end of the test; resolves with its URL. */
export async function listen(t, server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${server.address().port}`
}

/** A JWT with HS256. */
function accessToken(key, claims) {
  const now = Math.floor(Date.now() / 1000)
  const parts = [{ alg: 'HS256', typ: 'JWT' }, { iat: now, nbf: now, exp: now + TOKEN_LIFETIME_SECONDS, ...claims }]
  const text = parts.map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}
