// The same two routes in Node, without packages, with a prepared key and persistent connections to the service.
// It does less than the handler: no log lines, no retries, and no limits except on text and body.

import { createHmac, createSecretKey, randomUUID } from 'node:crypto'
import { Agent, createServer, request } from 'node:http'

const HUB = 'chat'
const MAX_TEXT_LENGTH = 4_096
const MAX_BODY_BYTES = 64 * 1_024
const LIFETIME_S = 3_600

const settings = Object.fromEntries(
  process.env.AzureSignalRConnectionString.split(';').filter(Boolean).map(property => {
    const equals = property.indexOf('=')
    return [property.slice(0, equals), property.slice(equals + 1)]
  }),
)
const endpoint = new URL(settings.Endpoint)
const audienceBase = `${endpoint.protocol}//${endpoint.hostname}`
const key = createSecretKey(Buffer.from(settings.AccessKey))
const agent = new Agent({ keepAlive: true })
const signedIn = process.env.WEBSITE_AUTH_ENABLED === 'true'

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

function token(audience, user) {
  const now = Math.floor(Date.now() / 1_000)
  const claims = { 'asrs.s.uid': user, nbf: now, exp: now + LIFETIME_S, iat: now, aud: audience }
  const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}

function negotiate(user) {
  const path = `/client/?hub=${HUB}`
  return { url: endpoint.origin + path, accessToken: token(audienceBase + path, user) }
}

function publish(message) {
  const to = message.recipient ? `users/${encodeURIComponent(message.recipient)}/` : ''
  const path = `/api/hubs/${HUB}/${to}:send`
  const body = JSON.stringify({ target: 'newMessage', arguments: [message] })
  const headers = {
    'authorization': `Bearer ${token(audienceBase + path)}`,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  }
  return new Promise((resolve, reject) => {
    const url = `${endpoint.origin}${path}?api-version=2022-06-01`
    const call = request(url, { method: 'POST', headers, agent }, response => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 202))
    })
    call.on('error', reject)
    call.end(body)
  })
}

async function bodyOf(incoming) {
  const chunks = []
  let size = 0
  for await (const chunk of incoming) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new RangeError('the body is too large')
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString())
}

async function sendMessage(incoming, user) {
  const draft = await bodyOf(incoming).catch(() => undefined)
  const text = typeof draft?.text === 'string' ? draft.text.trim() : ''
  if (text === '' || text.length > MAX_TEXT_LENGTH) return [400, { error: { code: 'invalid_message' } }]
  const message = { id: draft.id ?? randomUUID(), sender: user ?? '', text, sentAt: new Date().toISOString() }
  if (draft.recipient) Object.assign(message, { recipient: draft.recipient, isPrivate: true })
  const published = await publish(message).catch(() => false)
  return published ? [202, message] : [502, { error: { code: 'upstream_rejected' } }]
}

async function respond(incoming) {
  const user = signedIn ? incoming.headers['x-ms-client-principal-name'] : undefined
  switch (`${incoming.method} ${incoming.url.split('?', 1)[0]}`) {
    case 'GET /': return [200, 'a handler in Node']
    case 'POST /api/negotiate': return [200, negotiate(user)]
    case 'POST /api/messages': return sendMessage(incoming, user)
    default: return [404, { error: { code: 'not_found' } }]
  }
}

createServer(async (incoming, response) => {
  const [status, value] = await respond(incoming)
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-store' })
  response.end(body)
}).listen(process.env.FUNCTIONS_CUSTOMHANDLER_PORT, '127.0.0.1')
