// An upstream server for the SignalR emulator: records events and answers invocations in the protocol of the client.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { JsonHubProtocol, MessageType, NullLogger } from '@microsoft/signalr'
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack'
import { asyncQueue } from './async-queue.mjs'
import { listen } from './signalr-emulator.mjs'

const PROTOCOLS = { 'application/json': new JsonHubProtocol(), 'application/x-msgpack': new MessagePackHubProtocol() }

/**
 * Starts an upstream whose invocations return what `methods` return, or fail with what they throw. `events` are all requests,
 * `nextConnection` resolves with the id of the next client, and `options` are the emulator's arguments for this upstream.
 */
export async function upstreamServer(t, methods = {}) {
  const events = []
  const connections = asyncQueue()
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    const { 'x-asrs-event': event, 'x-asrs-connection-id': connection, 'content-type': type } = request.headers
    if (request.headers['x-asrs-category'] === 'connections') {
      events.push({ event, connection })
      if (event === 'connected') connections.push(connection)
      return response.end()
    }
    const protocol = PROTOCOLS[type]
    const [invocation] = protocol.parseMessages(withFraming(body, type), NullLogger.instance)
    events.push({ event, connection, arguments: invocation.arguments })
    if (invocation.invocationId === undefined) return response.end()
    response.end(Buffer.from(protocol.writeMessage(completion(invocation, methods[invocation.target]))))
  })
  const url = await listen(t, server)
  const templates = [{ UrlTemplate: `${url}/{hub}/{category}/{event}`, EventPattern: '*', HubPattern: '*', CategoryPattern: '*' }]
  const folder = await mkdtemp(join(tmpdir(), 'upstream-'))
  t.after(() => rm(folder, { recursive: true }))
  const settings = join(folder, 'settings.json')
  await writeFile(settings, JSON.stringify({ UpstreamSettings: { Templates: templates } }))
  return { events, nextConnection: connections.next, options: ['--upstream', settings] }
}

function completion({ invocationId, arguments: args }, method) {
  try {
    const result = method(...args)
    return { type: MessageType.Completion, invocationId, ...(result === undefined ? {} : { result }) }
  } catch (error) {
    return { type: MessageType.Completion, invocationId, error: error.message }
  }
}

/** Adds the record separator or length prefix, which the body of an upstream request does not have. */
function withFraming(body, type) {
  if (type === 'application/json') return `${body}\u001e`
  const length = []
  for (let rest = body.length; length.length === 0 || rest > 0; rest >>= 7) length.push(rest > 127 ? rest & 127 | 128 : rest)
  return new Uint8Array([...length, ...body]).buffer
}
