// Tests of the identity store: several handlers with one container in Azurite, and the emulator of Azure Communication Services.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { useAzurite } from './azurite.mjs'
import { communicationEmulator } from './communication-emulator.mjs'
import { managedIdentity } from './managed-identity.mjs'
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

async function allBlobs({ container }) {
  const found = []
  for await (const { name } of container.listBlobsFlat()) found.push(name)
  return found
}

/** The names of the blobs of people: all but the key of their names. */
const blobs = async setup => (await allBlobs(setup)).filter(name => !name.endsWith('/name-key.json'))

const textOf = async ({ container }, name) => (await container.getBlobClient(name).downloadToBuffer()).toString()

/** The host of the emulator, the folder of its blobs. */
const hostOf = ({ emulator }) => new URL(emulator.endpoint).host

/** The blob in which an earlier version stored the GitHub user `ann`. */
async function storedAnn() {
  const stored = JSON.parse(await readFile(new URL('../data/stored-identities.json', import.meta.url), 'utf8'))
  const { name, content } = stored.blobs.find(({ name }) => name.startsWith('127.0.0.1:8889/9108e693'))
  return { hash: name.split('/')[1].replace('.json', ''), content, id: JSON.parse(content).communicationUserId }
}

test('concurrent first requests of one user create one mapping and one identity', async (t) => {
  const setup = await startHandlers(t, 2)
  const ids = new Set(await twentyRequests(setup, 'ann'))
  assert.equal(ids.size, 1)
  assert.deepEqual(await setup.emulator.identities(), [...ids])
  const [name, ...others] = await blobs(setup)
  assert.deepEqual(others, [])
  const { version, communicationUserId } = JSON.parse(await textOf(setup, name))
  assert.deepEqual([version, communicationUserId], [1, [...ids][0]])
  assert.ok(!name.includes('ann') && !name.includes('github'), name)
})

test('the name of a blob is the HMAC of its person under a key that is in the container', async (t) => {
  const setup = await startHandlers(t, 1)
  const [handler] = setup.handlers
  const id = await identityOf(handler, 'ann')
  const { hash, content, id: storedId } = await storedAnn()
  const { version, key } = JSON.parse(await textOf(setup, `${hostOf(setup)}/name-key.json`))
  const keyBytes = Buffer.from(key, 'base64')
  assert.deepEqual([version, keyBytes.length], [1, 32])
  const name = createHmac('sha256', keyBytes).update(Buffer.from(hash, 'hex')).digest('hex')
  assert.deepEqual(await blobs(setup), [`${hostOf(setup)}/${name}.json`])
  assert.equal(await textOf(setup, `${hostOf(setup)}/${name}.json`), content.replace(storedId, id))
  await handler.stop()
  assert.ok(!handler.lines.some(line => line.includes(key)), handler.lines.join('\n'))
})

test('handlers that start at once use one key', async (t) => {
  const setup = await startHandlers(t, 4)
  const first = await Promise.all(setup.handlers.map((handler, at) => identityOf(handler, `user-${at}`)))
  const second = await Promise.all(setup.handlers.map((handler, at) => identityOf(handler, `user-${(at + 1) % 4}`)))
  assert.deepEqual(second, [...first.slice(1), first[0]])
  assert.equal((await allBlobs(setup)).length, 5)
})

test('a blob of an earlier version is found by two handlers at once, and moved', async (t) => {
  const setup = await startHandlers(t, 2)
  const ann = await identityOf(setup.handlers[0], 'ann')
  const [name] = await blobs(setup)
  const { hash } = await storedAnn()
  const oldName = `${hostOf(setup)}/${hash}.json`
  const text = await textOf(setup, name)
  await setup.container.getBlockBlobClient(oldName).upload(text, text.length)
  await setup.container.deleteBlob(name)
  assert.deepEqual(new Set(await twentyRequests(setup, 'ann')), new Set([ann]))
  assert.deepEqual(await blobs(setup), [name])
  assert.equal(await textOf(setup, name), text)
})

test('a blob of an earlier version is deleted with the identity', async (t) => {
  const setup = await startHandlers(t, 1)
  await identityOf(setup.handlers[0], 'ann')
  const [name] = await blobs(setup)
  const text = await textOf(setup, name)
  await setup.container.getBlockBlobClient(`${hostOf(setup)}/${(await storedAnn()).hash}.json`).upload(text, text.length)
  assert.equal((await request(setup.handlers[0], 'ann', 'DELETE', '?forget=1')).status, 204)
  assert.deepEqual([await blobs(setup), await setup.emulator.identities()], [[], []])
})

test('with a managed identity the store is called with one cached token', async (t) => {
  let endpoint
  const setup = await startHandlers(t, 1, async (account) => {
    endpoint = await managedIdentity(t)
    return {
      ChatIdentityStore: `${account.httpsUrl}/${CONTAINER}`,
      ChatIdentityStore__rootCertificates: account.certificate,
      ...endpoint.settings,
    }
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

test('a deletion that broke off at the store is repeated', async (t) => {
  const setup = await startHandlers(t, 1)
  const [handler] = setup.handlers
  await identityOf(handler, 'ann')
  setup.account.proxy.isBlocked = line => line.startsWith('DELETE')
  const failed = await request(handler, 'ann', 'DELETE', '?forget=true')
  assert.deepEqual([failed.status, (await failed.json()).error.code], [500, 'identity_store_failed'])
  assert.deepEqual([(await blobs(setup)).length, await setup.emulator.identities()], [1, []])
  setup.account.proxy.isBlocked = () => false
  assert.equal((await request(handler, 'ann', 'DELETE', '?forget=true')).status, 204)
  assert.deepEqual(await blobs(setup), [])
})

test('no identity is created while the container can only be read', async (t) => {
  const setup = await startHandlers(t, 1)
  const [handler] = setup.handlers
  const ann = await identityOf(handler, 'ann')
  const { create } = await setup.emulator.calls()
  setup.account.proxy.isBlocked = line => line.startsWith('PUT')
  const failed = await request(handler, 'bob')
  assert.deepEqual([failed.status, (await failed.json()).error.code], [500, 'identity_store_failed'])
  assert.equal(await identityOf(handler, 'ann'), ann)
  assert.equal((await setup.emulator.calls()).create, create)
  setup.account.proxy.isBlocked = () => false
  assert.notEqual(await identityOf(handler, 'bob'), ann)
})

const WRONG_SIGNATURE = `sig=${encodeURIComponent(Buffer.from('wrong').toString('base64'))}`
const INVALID_STORES = [
  ['a wrong SAS', async account => (await sasUrl(account, CONTAINER)).replace(/sig=[^&]*/, WRONG_SIGNATURE), /refuses the identity or SAS/],
  ['a missing container', account => sasUrl(account, 'not-there'), /create the container/],
]
for (const [what, store, message] of INVALID_STORES) test(`${what} is a permanent fault that is logged, and no identity is created`, async (t) => {
  const setup = await startHandlers(t, 1, async account => ({ ChatIdentityStore: await store(account) }))
  const { handlers: [handler], emulator, account, variables } = setup
  const response = await request(handler, 'ann')
  assert.deepEqual([response.status, response.headers.get('retry-after')], [500, null])
  assert.equal((await response.json()).error.code, 'identity_store_failed')
  assert.equal((await emulator.calls()).received, 0)
  await handler.stop()
  assert.ok(handler.lines.some(line => message.test(line)), handler.lines.join('\n'))
  const signature = new URL(variables.ChatIdentityStore).searchParams.get('sig')
  assert.ok(!handler.lines.some(line => line.includes(account.name) || line.includes(signature)), handler.lines.join('\n'))
})
