// Who has which identity, kept in the real Azurite by real handlers, several at once; the identities are those of the stand-in for the service.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { azuriteOfThisFile } from './azurite.mjs'
import { behindHost } from './processes.mjs'

const azurite = azuriteOfThisFile()
const PROGRAM = fileURLToPath(new URL('../../target/debug/examples/serve', import.meta.url))
const CONTAINER = 'chat-identities'

/** The stand-in as a program, and the test's side of it. */
async function identities(t) {
  const child = spawn(PROGRAM, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let connectionString
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('connection ')) connectionString = line.slice('connection '.length).trim()
    if (line === 'ready') break
  }
  const [, endpoint] = /^endpoint=(.*?)\/?;/.exec(connectionString)
  return { connectionString, list: async () => (await (await fetch(`${endpoint}/_emulator/identities`)).json()).map(({ id }) => id) }
}

/** An account with a container, identities, and as many handlers as are asked for. */
async function town(t, handlers, { key, container = CONTAINER } = {}) {
  const account = await azurite.account(t)
  await account.service.createContainer(CONTAINER)
  const service = await identities(t)
  const variables = {
    AzureSignalRConnectionString: 'Endpoint=http://127.0.0.1:1;AccessKey=never-asked',
    AzureCommunicationServicesConnectionString: service.connectionString,
    ChatIdentityStore: `${account.door.url}/${account.name}/${container}`,
    ChatIdentityStoreKey: key ?? account.key,
    WEBSITE_AUTH_ENABLED: 'True',
  }
  const houses = await Promise.all(Array.from({ length: handlers }, () => behindHost(t, variables)))
  return { houses, service, account, kept: account.service.getContainerClient(CONTAINER) }
}

/** As Easy Auth lets somebody through. */
function ask(house, who, method = 'POST', query = '') {
  const headers = { 'X-MS-CLIENT-PRINCIPAL-IDP': 'github', 'X-MS-CLIENT-PRINCIPAL-ID': who }
  return fetch(`${house.url}/api/access-token${query}`, { method, headers })
}

async function idOf(house, who) {
  const response = await ask(house, who)
  assert.equal(response.status, 200, JSON.stringify(house.lines, null, 1))
  const { token, user } = await response.json()
  assert.equal(token.split('.').length, 3)
  return user.communicationUserId
}

/** Twenty requests of one person at once, by turns to each of the handlers. */
function twenty({ houses }, who) {
  return Promise.all(Array.from({ length: 20 }, (_, at) => idOf(houses[at % houses.length], who)))
}

async function blobs({ kept }) {
  const found = []
  for await (const { name } of kept.listBlobsFlat()) found.push(name)
  return found
}

test('twenty first requests of one person at once leave one mapping and one identity', async (t) => {
  const here = await town(t, 2)
  const ids = new Set(await twenty(here, 'ann'))
  assert.equal(ids.size, 1)
  assert.deepEqual(await here.service.list(), [...ids])
  const [name, ...others] = await blobs(here)
  assert.deepEqual(others, [])
  const { version, communicationUserId } = JSON.parse((await here.kept.getBlobClient(name).downloadToBuffer()).toString())
  assert.deepEqual([version, communicationUserId], [1, [...ids][0]])
  assert.ok(!name.includes('ann') && !name.includes('github'), name)
})

test('an identity that is gone is replaced by one, whoever asks first', async (t) => {
  const here = await town(t, 2)
  const [id] = new Set(await twenty(here, 'ann'))
  const [name] = await blobs(here)
  const gone = id.replace(/_.*/, '_00000000-0000-4000-8000-000000000000')
  const text = JSON.stringify({ version: 1, communicationUserId: gone })
  await here.kept.getBlockBlobClient(name).upload(text, text.length)
  const ids = new Set(await Promise.all(Array.from({ length: 8 }, (_, at) => idOf(here.houses[at % 2], 'ann'))))
  assert.equal(ids.size, 1)
  assert.ok(!ids.has(id) && !ids.has(gone))
  // The one whose mapping was overwritten is left, and nobody else.
  assert.deepEqual(await here.service.list(), [id, ...ids])
})

test('whoever is forgotten is gone from the store and from the service', async (t) => {
  const here = await town(t, 1)
  const [house] = here.houses
  const [ann, bob] = [await idOf(house, 'ann'), await idOf(house, 'bob')]
  for (let times = 0; times < 2; times += 1) {
    assert.equal((await ask(house, 'ann', 'DELETE', '?forget=true')).status, 204)
    assert.deepEqual(await here.service.list(), [bob])
    assert.equal((await blobs(here)).length, 1)
  }
  assert.notEqual(await idOf(house, 'ann'), ann)
})

test('a thousand people have a thousand identities', async (t) => {
  const here = await town(t, 2)
  const ids = new Set()
  for (let group = 0; group < 50; group += 1) {
    const people = Array.from({ length: 20 }, (_, at) => `person-${group * 20 + at}`)
    for (const id of await Promise.all(people.map((who, at) => idOf(here.houses[at % 2], who)))) ids.add(id)
  }
  assert.equal(ids.size, 1_000)
  assert.deepEqual(new Set(await here.service.list()), ids)
})

const REFUSALS = [
  ['a wrong key', { key: Buffer.from('not the key of this account').toString('base64') }, /refuses the key/],
  ['a container that is not there', { container: 'not-there' }, /create the container/],
]
for (const [what, how, words] of REFUSALS) test(`${what} is told in the log, and nobody is left behind`, async (t) => {
  const { houses: [house], service, account } = await town(t, 1, how)
  const response = await ask(house, 'ann')
  assert.equal(response.status, 503)
  assert.equal((await response.json()).error.code, 'unavailable')
  assert.deepEqual(await service.list(), [])
  assert.ok(house.lines.some(line => words.test(line)), house.lines.join('\n'))
  assert.ok(!house.lines.some(line => line.includes(account.name) || line.includes(account.key)), house.lines.join('\n'))
})
