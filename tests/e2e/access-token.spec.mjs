// The identity store in a container of Azurite, with several handlers at once. The identities are those of the emulator of Azure
// Communication Services.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { azuriteOfThisFile } from './azurite.mjs'
import { behindHost } from './handler.mjs'

const azurite = azuriteOfThisFile({ oauth: true })
const PROGRAM = fileURLToPath(new URL('../../target/debug/examples/serve', import.meta.url))
const CONTAINER = 'chat-identities'

/** The emulator as a program, and its control API. */
async function identities(t) {
  const child = spawn(PROGRAM, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let connectionString
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('connection ')) connectionString = line.slice('connection '.length).trim()
    if (line === 'ready') break
  }
  const [, endpoint] = /^endpoint=(.*?)\/?;/.exec(connectionString)
  return { connectionString, host: new URL(endpoint).host, list: async () => (await (await fetch(`${endpoint}/_emulator/identities`)).json()).map(({ id }) => id) }
}

/** A SAS URL of `container` with what the store needs. */
async function sasUrl({ door, name, service }, container) {
  const permissions = { toString: () => 'rcwd' }
  const url = await service.getContainerClient(container).generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 3_600_000) })
  return `${door.url}/${name}/${container}${new URL(url).search}`
}

/** An account with a container, identities, and as many handlers as are asked for; `settings` of the account say how they call the store. */
async function town(t, handlers, settings = async account => ({ ChatIdentityStore: await sasUrl(account, CONTAINER) })) {
  const account = await azurite.account(t)
  await account.service.createContainer(CONTAINER)
  const service = await identities(t)
  const variables = {
    AzureSignalRConnectionString: 'Endpoint=http://127.0.0.1:1;AccessKey=never-asked',
    AzureCommunicationServicesConnectionString: service.connectionString,
    WEBSITE_AUTH_ENABLED: 'True',
    ...await settings(account),
  }
  const houses = await Promise.all(Array.from({ length: handlers }, () => behindHost(t, variables)))
  return { houses, service, account, variables, kept: account.service.getContainerClient(CONTAINER) }
}

/** The settings of a handler with a managed identity, whose tokens the returned platform issues. */
async function managedIdentity(t, account) {
  const asked = []
  const platform = createServer((from, to) => {
    const { searchParams } = new URL(from.url, 'http://platform')
    asked.push(searchParams.get('resource'))
    const now = Math.floor(Date.now() / 1_000)
    // Azurite reads issuer, audience and times of a token, and checks no signature.
    const claims = { aud: searchParams.get('resource'), iss: 'https://sts.windows.net/6babcaad-604b-40ac-a9d7-9fd97c0b779f/', nbf: now - 60, iat: now - 60, exp: now + 3_600 }
    const token = [{ alg: 'RS256', typ: 'JWT' }, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).concat('c2lnbmF0dXJl').join('.')
    to.setHeader('content-type', 'application/json')
    to.end(JSON.stringify({ access_token: token, expires_on: `${now + 3_600}`, resource: searchParams.get('resource'), token_type: 'Bearer' }))
  }).listen(0, '127.0.0.1')
  await once(platform, 'listening')
  t.after(() => platform.close())
  return { asked, settings: {
    ChatIdentityStore: `${account.secureUrl}/${CONTAINER}`,
    ChatIdentityStore__rootCertificates: account.certificate,
    IDENTITY_ENDPOINT: `http://127.0.0.1:${platform.address().port}/msi/token`,
    IDENTITY_HEADER: 'secret-of-the-platform',
  } }
}

/** A request with the headers of Easy Auth. */
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

test('names and bytes of blobs are those of earlier versions', async (t) => {
  const here = await town(t, 1)
  const id = await idOf(here.houses[0], 'ann')
  const stored = JSON.parse(await readFile(new URL('../data/stored-identities.json', import.meta.url), 'utf8'))
  const ann = stored.blobs.find(({ name }) => name.startsWith('127.0.0.1:8889/9108e693'))
  const [name, ...others] = await blobs(here)
  assert.deepEqual([name, others], [ann.name.replace('127.0.0.1:8889', here.service.host), []])
  const text = (await here.kept.getBlobClient(name).downloadToBuffer()).toString()
  assert.equal(text, ann.content.replace(JSON.parse(ann.content).communicationUserId, id))
})

test('with a managed identity the store is called with its tokens, and one is enough', async (t) => {
  let platform
  const here = await town(t, 1, async (account) => {
    platform = await managedIdentity(t, account)
    return platform.settings
  })
  const [house] = here.houses
  const [ann, bob] = [await idOf(house, 'ann'), await idOf(house, 'bob')]
  assert.notEqual(ann, bob)
  assert.equal(await idOf(house, 'ann'), ann)
  assert.equal((await blobs(here)).length, 2)
  assert.equal((await ask(house, 'ann', 'DELETE', '?forget=true')).status, 204)
  assert.equal((await blobs(here)).length, 1)
  assert.deepEqual(platform.asked, ['https://storage.azure.com'])
})

test('an identity that is gone is replaced by one', async (t) => {
  const here = await town(t, 2)
  const [id] = new Set(await twenty(here, 'ann'))
  const [name] = await blobs(here)
  const gone = id.replace(/_.*/, '_00000000-0000-4000-8000-000000000000')
  const text = JSON.stringify({ version: 1, communicationUserId: gone })
  await here.kept.getBlockBlobClient(name).upload(text, text.length)
  const ids = new Set(await Promise.all(Array.from({ length: 8 }, (_, at) => idOf(here.houses[at % 2], 'ann'))))
  assert.equal(ids.size, 1)
  assert.ok(!ids.has(id) && !ids.has(gone))
  // Only the identity whose mapping was overwritten is left.
  assert.deepEqual(await here.service.list(), [id, ...ids])
})

test('a person who is forgotten is gone from the store and from the service', async (t) => {
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
  ['a wrong SAS', async account => (await sasUrl(account, CONTAINER)).replace(/sig=[^&]*/, `sig=${encodeURIComponent(Buffer.from('wrong').toString('base64'))}`), /refuses the identity or SAS/],
  ['a container that is not there', account => sasUrl(account, 'not-there'), /create the container/],
]
for (const [what, store, words] of REFUSALS) test(`${what} is told in the log, and no identity is left behind`, async (t) => {
  const { houses: [house], service, account, variables } = await town(t, 1, async account => ({ ChatIdentityStore: await store(account) }))
  const response = await ask(house, 'ann')
  assert.equal(response.status, 503)
  assert.equal((await response.json()).error.code, 'unavailable')
  assert.deepEqual(await service.list(), [])
  assert.ok(house.lines.some(line => words.test(line)), house.lines.join('\n'))
  const sas = new URL(variables.ChatIdentityStore).searchParams.get('sig')
  assert.ok(!house.lines.some(line => line.includes(account.name) || line.includes(sas)), house.lines.join('\n'))
})
