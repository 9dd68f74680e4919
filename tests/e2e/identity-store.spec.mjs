// Tests of the identity store: several handlers with one container in Azurite, and the emulator of Azure Communication Services.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useAzurite } from './azurite.mjs'
import { communicationEmulator } from './communication-emulator.mjs'
import { startHandler } from './processes.mjs'

const azurite = useAzurite()
const CONTAINER = 'chat-identities'

/** Starts `count` handlers with one container and one emulator. */
async function startHandlers(t, count, { key, container = CONTAINER } = {}) {
  const account = await azurite.account(t)
  await account.service.createContainer(CONTAINER)
  const emulator = await communicationEmulator(t)
  const variables = {
    AzureSignalRConnectionString: 'Endpoint=http://127.0.0.1:1;AccessKey=unused',
    AzureCommunicationServicesConnectionString: emulator.connectionString,
    ChatIdentityStore: `${account.proxy.url}/${account.name}/${container}`,
    ChatIdentityStoreKey: key ?? account.key,
    WEBSITE_AUTH_ENABLED: 'True',
  }
  const handlers = await Promise.all(Array.from({ length: count }, () => startHandler(t, variables)))
  return { handlers, emulator, account, container: account.service.getContainerClient(CONTAINER) }
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

const INVALID_STORES = [
  ['a wrong key', { key: Buffer.from('not the key of this account').toString('base64') }, /refuses the key/],
  ['a missing container', { container: 'not-there' }, /create the container/],
]
for (const [what, options, message] of INVALID_STORES) test(`${what} is logged, and no identity is left in the service`, async (t) => {
  const { handlers: [handler], emulator, account } = await startHandlers(t, 1, options)
  const response = await request(handler, 'ann')
  assert.equal(response.status, 503)
  assert.equal((await response.json()).error.code, 'unavailable')
  assert.deepEqual(await emulator.identities(), [])
  assert.ok(handler.lines.some(line => message.test(line)), handler.lines.join('\n'))
  assert.ok(!handler.lines.some(line => line.includes(account.name) || line.includes(account.key)), handler.lines.join('\n'))
})
