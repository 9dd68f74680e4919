// The history in a blob container of Azurite, which the handlers call with a managed identity.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useAzurite } from './azurite.mjs'
import { managedIdentity } from './managed-identity.mjs'
import { startHandler } from './processes.mjs'

const azurite = useAzurite({ oauth: true })
const CONTAINER = 'chat-history'

test('two handlers with a managed identity write one log', async (t) => {
  const account = await azurite.account(t)
  await account.service.createContainer(CONTAINER)
  const endpoint = await managedIdentity(t)
  const variables = {
    // Nothing listens there: what is said is kept, and not live.
    AzureSignalRConnectionString: 'Endpoint=http://127.0.0.1:1;AccessKey=unused',
    WEBSITE_AUTH_ENABLED: 'True',
    ChatHistory: `${account.httpsUrl}/${CONTAINER}`,
    ChatHistory__rootCertificates: account.certificate,
    ...endpoint.settings,
  }
  const handlers = [await startHandler(t, variables), await startHandler(t, variables)]
  const send = async (handler, text) => {
    const headers = { 'Content-Type': 'application/json', 'X-MS-CLIENT-PRINCIPAL-IDP': 'github', 'X-MS-CLIENT-PRINCIPAL-ID': 'ann', 'X-MS-CLIENT-PRINCIPAL-NAME': 'Ann' }
    const response = await fetch(`${handler.url}/api/messages`, { method: 'POST', headers, body: JSON.stringify({ text }) })
    assert.equal(response.status, 202, `${await response.clone().text()}\n${handler.lines.join('\n')}`)
    return response.json()
  }
  const said = []
  for (let at = 0; at < 6; at += 1) said.push(await send(handlers[at % 2], `message ${at}`))
  assert.deepEqual(said.map(({ live }) => live), said.map(() => false))
  for (let at = 1; at < said.length; at += 1) assert.equal(said[at].at, said[at - 1].next)
  const container = account.service.getContainerClient(CONTAINER)
  const names = []
  for await (const { name } of container.listBlobsFlat()) names.push(name)
  assert.match(names.join(), /^rooms\/everyone\/\d{8}\.jsonl$/)
  const text = (await container.getBlobClient(names[0]).downloadToBuffer()).toString()
  const [first, ...lines] = text.trimEnd().split('\n').map(line => JSON.parse(line))
  assert.equal(first.previous, null)
  assert.deepEqual(lines.map(line => line.text), said.map((_, at) => `message ${at}`))
  // Each handler has requested one token.
  assert.deepEqual(endpoint.resources, ['https://storage.azure.com', 'https://storage.azure.com'])
})
