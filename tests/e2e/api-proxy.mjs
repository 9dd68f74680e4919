// An HTTP proxy in front of the API, whose requests a test fails, delays or answers itself.

import { createServer, request } from 'node:http'
import { listen } from './signalr-emulator.mjs'

// Without it a page cannot read the status of an answer.
const CORS = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Retry-After' }

/**
 * Starts a proxy to the URL `target`. `rule({ method, path, query, headers })` says what happens to a request:
 * nothing, `{ status, headers, body }` as the answer, `destroy` (the connection ends before the request is forwarded), `lose-response`
 * (it ends after that) or `hang` (there is no answer).
 */
export async function apiProxy(t, target, rule = () => undefined) {
  const listeners = []
  const proxy = {
    rule,
    /** Method and path of each request. */
    requests: [],
    /** The requests that were not forwarded or not answered. */
    failed: 0,
    /** Resolves when the proxy has received a request, such as `GET /api/me`, so many times from now on. */
    receives(request, times = 1) {
      const count = () => proxy.requests.filter(received => received === request).length
      const wanted = count() + times
      return new Promise(resolve => listeners.push(() => {
        if (count() >= wanted) resolve()
      }))
    },
  }

  const server = createServer((from, to) => {
    const [path, query = ''] = from.url.split('?')
    proxy.requests.push(`${from.method} ${path}`)
    listeners.forEach(listener => listener())
    const outcome = proxy.rule({ method: from.method, path, query, headers: from.headers })
    if (outcome !== undefined) proxy.failed += 1
    if (outcome === 'destroy') return from.socket.destroy()
    if (outcome === 'hang') return from.resume()
    if (typeof outcome === 'object') {
      from.resume()
      const { status, headers = {}, body = '' } = outcome
      return to.writeHead(status, { ...CORS, 'Content-Type': 'application/json', ...headers }).end(body)
    }
    forwardRequest(target, from, to, { losesResponse: outcome === 'lose-response' })
  })
  proxy.url = await listen(t, server)
  return proxy
}

/** Forwards a request to the server at `base`, with `headers` instead of its own, and adds headers to the response. */
export function forwardRequest(base, from, to, { headers = from.headers, added = {}, losesResponse = false } = {}) {
  const { host, origin } = new URL(base)
  // The sign-in compares the origin of a form with its own.
  const own = headers.origin === `http://${from.headers.host}` ? { origin } : {}
  const forwarded = request(new URL(from.url, base), { method: from.method, headers: { ...headers, host, ...own } }, (response) => {
    if (losesResponse) return response.resume().on('end', () => from.socket.destroy())
    to.writeHead(response.statusCode, { ...response.headers, ...added })
    response.pipe(to)
  })
  forwarded.on('error', () => from.socket.destroy())
  from.pipe(forwarded)
}

/** The answer of an API that is there and cannot work. */
export const UNAVAILABLE = {
  status: 503, headers: { 'Retry-After': '1' }, body: JSON.stringify({ error: { code: 'unavailable', message: 'Try again.' } }),
}

/** The answer of a Functions host that has no such function. */
export const NOT_FOUND = { status: 404 }

/** A rule that fails about `share` of the calls of pages, the same ones in each run: before they are forwarded, or after. */
export function failingCalls(share, seed) {
  const random = seededRandom(seed)
  return ({ method, path }) => {
    if (method === 'OPTIONS' || !path.startsWith('/api/') || random() >= share) return undefined
    return [UNAVAILABLE, 'destroy', 'lose-response'][Math.floor(random() * 3)]
  }
}

/** Numbers from 0 to 1 (mulberry32). */
export function seededRandom(seed) {
  let state = seed
  return () => {
    state = state + 0x6d2b79f5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296
  }
}
