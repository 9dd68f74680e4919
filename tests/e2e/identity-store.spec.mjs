// Tests of the identity store: several handlers with one container in Azurite, and the emulator of Azure Communication Services.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { useAzurite } from './azurite.mjs'
import { communicationEmulator } from './communication-emulator.mjs'
import { startHandler } from './processes.mjs'

const azurite = useAzurite({ oauth: true })
const CONTAINER = 'chat-identities'

/** A SAS URL of `container` with the permissions that the store needs. */
async function sasUrl({ proxy, name, service }, container) {
  const permissions = { toString: () => 'rcwd' }
  const url = await service.getContainerClient(container).generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 3_600_000) })
  return `${proxy.url}/${name}/${container}${new URL(url).search}`
}

const withSas = async account => ({ ChatIdentityStore: await sasUrl(account, CONTAINER) })

/** Starts `count` handlers with one container and one emulator; `storeSettings` are those of the identity store. */
async function startHandlers(t, count, storeSettings = withSas) {
  const account = await azurite.account(t)
  await account.service.createContainer(CONTAINER)
  const emulator = await communicationEmulator(t)
  const variables = {
    AzureSignalRConnectionString: 'Endpoint=http://127.0.0.1:1;AccessKey=unused',
    AzureCommunicationServicesConnectionString: emulator.connectionString,
    WEBSITE_AUTH_ENABLED: 'True',
    ...await storeSettings(account),
  }
  const handlers = await Promise.all(Array.from({ length: count }, () => startHandler(t, variables)))
  return { handlers, emulator, account, variables, container: account.service.getContainerClient(CONTAINER) }
}

/** Starts a managed identity endpoint; the settings of a handler that uses it for the store, and the resources that tokens were requested for. */
async function managedIdentity(t, account) {
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
  return { resources, settings: {
    ChatIdentityStore: `${account.httpsUrl}/${CONTAINER}`,
    ChatIdentityStore__rootCertificates: account.certificate,
    IDENTITY_ENDPOINT: `http://127.0.0.1:${endpoint.address().port}/msi/token`,
    IDENTITY_HEADER: 'secret-of-the-platform',
  } }
}

/** A request with the headers of Easy Auth. */
function request(handler, user, method = 'POST', query = '') {
  const headers = { 'X-MS-CLIENT-PRINCIPAL-IDP': 'github', 'X-MS-CLIENT-PRINCIPAL-ID': user }
  return fetch(`${handler.url}/api/access-token${query}`, { method, headers })
}

async function identityOf(handler, name) {
  const response = await request(handler, name)
  assert.equal(response.status, 200, JSON.stringify(handler.lines, null, 1))
  const { token, user } = await response.json()
  assert.equal(token.split('.').length, 3)
  return user.communicationUserId
}

/** Twenty concurrent requests of one user, distributed over the handlers. */
function twentyRequests({ handlers }, name) {
  return Promise.all(Array.from({ length: 20 }, (_, at) => identityOf(handlers[at % handlers.length], name)))
}

async function blobs({ container }) {
  const found = []
  for await (const { name } of container.listBlobsFlat()) found.push(name)
  return found
}

test('concurrent first requests of one user create one mapping and one identity', async (t) => {
  const setup = await startHandlers(t, 2)
  const ids = new Set(await twentyRequests(setup, 'ann'))
  assert.equal(ids.size, 1)
  assert.deepEqual(await setup.emulator.identities(), [...ids])
  const [name, ...others] = await blobs(setup)
  assert.deepEqual(others, [])
  const { version, communicationUserId } = JSON.parse((await setup.container.getBlobClient(name).downloadToBuffer()).toString())
  assert.deepEqual([version, communicationUserId], [1, [...ids][0]])
  assert.ok(!name.includes('ann') && !name.includes('github'), name)
})

test('names and bytes of blobs are those of earlier versions', async (t) => {
  const setup = await startHandlers(t, 1)
  const id = await identityOf(setup.handlers[0], 'ann')
  const stored = JSON.parse(await readFile(new URL('../data/stored-identities.json', import.meta.url), 'utf8'))
  const ann = stored.blobs.find(({ name }) => name.startsWith('127.0.0.1:8889/9108e693'))
  const [, host] = /^endpoint=http:\/\/(.*?)\/?;/.exec(setup.emulator.connectionString)
  const [name, ...others] = await blobs(setup)
  assert.deepEqual([name, others], [ann.name.replace('127.0.0.1:8889', host), []])
  const text = (await setup.container.getBlobClient(name).downloadToBuffer()).toString()
  assert.equal(text, ann.content.replace(JSON.parse(ann.content).communicationUserId, id))
})

test('with a managed identity the store is called with one cached token', async (t) => {
  let endpoint
  const setup = await startHandlers(t, 1, async (account) => {
    endpoint = await managedIdentity(t, account)
    return endpoint.settings
  })
  const [handler] = setup.handlers
  const [ann, bob] = [await identityOf(handler, 'ann'), await identityOf(handler, 'bob')]
  assert.notEqual(ann, bob)
  assert.equal(await identityOf(handler, 'ann'), ann)
  assert.equal((await blobs(setup)).length, 2)
  assert.equal((await request(handler, 'ann', 'DELETE', '?forget=true')).status, 204)
  assert.equal((await blobs(setup)).length, 1)
  assert.deepEqual(endpoint.resources, ['https://storage.azure.com'])
})

test('a deleted identity is replaced once under concurrent requests', async (t) => {
  const setup = await startHandlers(t, 2)
  const [id] = new Set(await twentyRequests(setup, 'ann'))
  const [name] = await blobs(setup)
  const deleted = id.replace(/_.*/, '_00000000-0000-4000-8000-000000000000')
  const text = JSON.stringify({ version: 1, communicationUserId: deleted })
  await setup.container.getBlockBlobClient(name).upload(text, text.length)
  const ids = new Set(await Promise.all(Array.from({ length: 8 }, (_, at) => identityOf(setup.handlers[at % 2], 'ann'))))
  assert.equal(ids.size, 1)
  assert.ok(!ids.has(id) && !ids.has(deleted))
  // The identity whose mapping was overwritten is left, and no other.
  assert.deepEqual(await setup.emulator.identities(), [id, ...ids])
})

test('forget=true deletes the identity from the store and the service', async (t) => {
  const setup = await startHandlers(t, 1)
  const [handler] = setup.handlers
  const [ann, bob] = [await identityOf(handler, 'ann'), await identityOf(handler, 'bob')]
  for (let attempt = 0; attempt < 2; attempt += 1) {
    assert.equal((await request(handler, 'ann', 'DELETE', '?forget=true')).status, 204)
    assert.deepEqual(await setup.emulator.identities(), [bob])
    assert.equal((await blobs(setup)).length, 1)
  }
  assert.notEqual(await identityOf(handler, 'ann'), ann)
})

test('a thousand users have a thousand identities', async (t) => {
  const setup = await startHandlers(t, 2)
  const ids = new Set()
  for (let group = 0; group < 50; group += 1) {
    const names = Array.from({ length: 20 }, (_, at) => `user-${group * 20 + at}`)
    for (const id of await Promise.all(names.map((name, at) => identityOf(setup.handlers[at % 2], name)))) ids.add(id)
  }
  assert.equal(ids.size, 1_000)
  assert.deepEqual(new Set(await setup.emulator.identities()), ids)
})

const WRONG_SIGNATURE = `sig=${encodeURIComponent(Buffer.from('wrong').toString('base64'))}`
const INVALID_STORES = [
  ['a wrong SAS', async account => (await sasUrl(account, CONTAINER)).replace(/sig=[^&]*/, WRONG_SIGNATURE), /refuses the identity or SAS/],
  ['a missing container', account => sasUrl(account, 'not-there'), /create the container/],
]
for (const [what, store, message] of INVALID_STORES) test(`${what} is logged, and no identity is left in the service`, async (t) => {
  const setup = await startHandlers(t, 1, async account => ({ ChatIdentityStore: await store(account) }))
  const { handlers: [handler], emulator, account, variables } = setup
  const response = await request(handler, 'ann')
  assert.equal(response.status, 503)
  assert.equal((await response.json()).error.code, 'unavailable')
  assert.deepEqual(await emulator.identities(), [])
  assert.ok(handler.lines.some(line => message.test(line)), handler.lines.join('\n'))
  const signature = new URL(variables.ChatIdentityStore).searchParams.get('sig')
  assert.ok(!handler.lines.some(line => line.includes(account.name) || line.includes(signature)), handler.lines.join('\n'))
})
