// An upstream: it keeps what the service posts to it, and answers the calls of clients in the protocol they were made in.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { JsonHubProtocol, MessageType, NullLogger } from '@microsoft/signalr'
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack'
import { inbox } from './async-queue.mjs'
import { listening } from './signalr-emulator.mjs'

const PROTOCOLS = { 'application/json': new JsonHubProtocol(), 'application/x-msgpack': new MessagePackHubProtocol() }

/**
 * Answers calls with what `methods` return, or with the message of what they throw. Everything it is told is in `posts`;
 * `arrival` waits
 * for the id of the next client that connects, and `options` let the service know of the webhook.
 */
export async function webhook(t, methods = {}) {
  const posts = []
  const arrivals = inbox()
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    const { 'x-asrs-event': event, 'x-asrs-connection-id': connection, 'content-type': type } = request.headers
    if (request.headers['x-asrs-category'] === 'connections') {
      posts.push({ event, connection })
      if (event === 'connected') arrivals.put(connection)
      return response.end()
    }
    const protocol = PROTOCOLS[type]
    const [call] = protocol.parseMessages(framed(body, type), NullLogger.instance)
    posts.push({ event, connection, arguments: call.arguments })
    if (call.invocationId === undefined) return response.end()
    response.end(Buffer.from(protocol.writeMessage(completion(call, methods[call.target]))))
  })
  const url = await listening(t, server)
  const templates = [{ UrlTemplate: `${url}/{hub}/{category}/{event}`, EventPattern: '*', HubPattern: '*', CategoryPattern: '*' }]
  const folder = await mkdtemp(join(tmpdir(), 'upstream-'))
  t.after(() => rm(folder, { recursive: true }))
  const settings = join(folder, 'settings.json')
  await writeFile(settings, JSON.stringify({ UpstreamSettings: { Templates: templates } }))
  return { posts, arrival: arrivals.next, options: ['--upstream', settings] }
}

function completion({ invocationId, arguments: given }, method) {
  try {
    const result = method(...given)
    return { type: MessageType.Completion, invocationId, ...(result === undefined ? {} : { result }) }
  } catch (error) {
    return { type: MessageType.Completion, invocationId, error: error.message }
  }
}

/** A call as its client sent it: webhooks get it without what separates it from the next. */
function framed(body, type) {
  if (type === 'application/json') return `${body}\u001e`
  const length = []
  for (let rest = body.length; length.length === 0 || rest > 0; rest >>= 7) length.push(rest > 127 ? rest & 127 | 128 : rest)
  return new Uint8Array([...length, ...body]).buffer
}
