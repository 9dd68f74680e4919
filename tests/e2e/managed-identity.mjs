// The endpoint of a managed identity, whose tokens Azurite takes.

import { once } from 'node:events'
import { createServer } from 'node:http'

/** Starts the endpoint; the settings of a handler that uses it, and the resources that tokens were requested for. */
export async function managedIdentity(t) {
  const resources = []
  const endpoint = createServer((request, response) => {
    const resource = new URL(request.url, 'http://endpoint').searchParams.get('resource')
    resources.push(resource)
    const now = Math.floor(Date.now() / 1_000)
    // Azurite checks issuer, audience and times of a token, and not its signature.
    const claims = { aud: resource, iss: 'https://sts.windows.net/6babcaad-604b-40ac-a9d7-9fd97c0b779f/', nbf: now - 60, iat: now - 60, exp: now + 3_600 }
    const token = [{ alg: 'RS256', typ: 'JWT' }, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).concat('c2lnbmF0dXJl').join('.')
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ access_token: token, expires_on: `${now + 3_600}`, resource, token_type: 'Bearer' }))
  }).listen(0, '127.0.0.1')
  await once(endpoint, 'listening')
  t.after(() => endpoint.close())
  const settings = { IDENTITY_ENDPOINT: `http://127.0.0.1:${endpoint.address().port}/msi/token`, IDENTITY_HEADER: 'secret-of-the-platform' }
  return { resources, settings }
}
