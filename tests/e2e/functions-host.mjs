// Stands for the Functions host of several instances: it takes the handlers in turn, and says who is calling, as Easy Auth does. The
// sign-in itself is that of a local stack.

import { createServer } from 'node:http'
import { forwardRequest } from './api-proxy.mjs'
import { listen } from './signalr-emulator.mjs'

/** Starts the host of `handlers` (URLs) with the sign-in of `chat`; resolves with its URL. */
export async function functionsHost(t, chat, handlers) {
  const names = new Map()
  let calls = 0

  /** The name of the person with this token; `undefined` if the token is not valid. */
  function nameOf(token) {
    if (!names.has(token)) {
      names.set(token, fetch(`${chat.api}/api/me`, { headers: { 'X-ZUMO-AUTH': token } })
        .then(async response => response.ok ? (await response.json()).userId : undefined))
    }
    return names.get(token)
  }

  const server = createServer(async (from, to) => {
    const cors = {
      'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Methods': '*', 'Access-Control-Expose-Headers': 'Retry-After',
      'Access-Control-Allow-Headers': from.headers['access-control-request-headers'] ?? '*',
    }
    if (from.url.startsWith('/.auth/')) return forwardRequest(chat.api, from, to)
    if (from.method === 'OPTIONS') return to.writeHead(204, cors).end()
    const { 'x-zumo-auth': token, ...rest } = from.headers
    const headers = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('x-ms-')))
    if (token !== undefined) {
      const name = await nameOf(token)
      if (name === undefined) return to.writeHead(401, cors).end()
      Object.assign(headers, { 'x-ms-client-principal-name': name, 'x-ms-client-principal-id': name, 'x-ms-client-principal-idp': 'aad' })
    }
    calls += 1
    forwardRequest(handlers[calls % handlers.length], from, to, { headers, added: cors })
  })
  return listen(t, server)
}
