// The published identity clients of Azure Communication Services against the emulator.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AzureCommunicationTokenCredential } from '@azure/communication-common'
import { CommunicationIdentityClient } from '@azure/communication-identity'
import { communicationEmulator } from './communication-emulator.mjs'

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))
const PYTHON_CLIENT = fileURLToPath(new URL('clients/communication_client.py', import.meta.url))
const run = promisify(execFile)

async function python(...args) {
  const { stdout } = await run(PYTHON, [PYTHON_CLIENT, ...args], { timeout: 60_000 })
  return JSON.parse(stdout)
}

/** A TLS proxy to `port` with a self-signed certificate. */
async function tlsProxy(t, port) {
  const folder = await mkdtemp(join(tmpdir(), 'communication-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { stdout: pem } = await run('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', '-', '-out', '-',
  ])
  const ca = /-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----\n/.exec(pem)[0]
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, ca)
  const sockets = new Set()
  const server = createServer({ key: pem, cert: pem }, (from) => {
    const to = connect(port, '127.0.0.1')
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    from.pipe(to).pipe(from)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { endpoint: `https://localhost:${server.address().port}`, ca, caFile }
}

async function runAllOperations(emulator, client) {
  const user = await client.createUser()
  assert.match(user.communicationUserId, /^8:acs:[0-9a-f-]{36}_[0-9a-f-]{36}$/)
  const issued = await client.getToken(user, ['chat', 'voip'], { tokenExpiresInMinutes: 60 })
  const created = await client.createUserAndToken(['voip.join'])
  assert.notEqual(created.user.communicationUserId, user.communicationUserId)
  for (const [{ token, expiresOn }, minutes] of [[issued, 60], [created, 24 * 60]]) {
    const read = await new AzureCommunicationTokenCredential(token).getToken()
    assert.equal(read.expiresOnTimestamp, expiresOn.getTime())
    assert.ok(Math.abs(expiresOn.getTime() - Date.now() - minutes * 60_000) < 60_000)
  }
  await client.revokeTokens(user)
  assert.deepEqual(await Promise.all([issued, created].map(({ token }) => emulator.state(token))), ['revoked', 'alive'])
  await client.deleteUser(user)
  await assert.rejects(client.getToken(user, ['chat']), { statusCode: 404, code: 'NotFound' })
  await assert.rejects(client.getToken(created.user, ['chat'], { tokenExpiresInMinutes: 59 }), { statusCode: 400, code: 'ValidationError' })
}

test('the JavaScript client runs all operations, and its credential reads the tokens', async (t) => {
  const emulator = await communicationEmulator(t)
  await runAllOperations(emulator, new CommunicationIdentityClient(emulator.connectionString, { allowInsecureConnection: true }))
  const { received, refused, ...done } = await emulator.calls()
  assert.deepEqual(done, { create: 2, issue: 1, revoke: 1, delete: 1, exchange: 0 })
  assert.deepEqual([received, refused], [7, 2])
})

for (const flavour of ['sync', 'async']) {
  test(`the Python client, ${flavour}, runs all operations, and waits when it is throttled`, async (t) => {
    const emulator = await communicationEmulator(t)
    await emulator.throttleOnce()
    const { users, tokens, expiresOn, read, afterDelete, secondsToCreate } = await python(flavour, emulator.endpoint, emulator.key)
    assert.equal(new Set(users).size, 2)
    assert.deepEqual(expiresOn.map(text => Date.parse(text) / 1000), read)
    assert.deepEqual(await Promise.all(tokens.map(emulator.state)), ['deleted', 'alive'])
    assert.deepEqual(afterDelete, [404, 'NotFound'])
    assert.ok(secondsToCreate >= 1, `${secondsToCreate} s`)
    const { received, refused, ...done } = await emulator.calls()
    assert.deepEqual(done, { create: 2, issue: 1, revoke: 1, delete: 1, exchange: 0 })
    assert.deepEqual([received, refused], [7, 2])
  })
}

test('the JavaScript client retries after the time of Retry-After', async (t) => {
  const emulator = await communicationEmulator(t)
  const client = new CommunicationIdentityClient(emulator.connectionString, { allowInsecureConnection: true })
  await emulator.throttleOnce()
  const started = performance.now()
  await client.createUser()
  assert.ok(performance.now() - started >= 990, 'timers may fire a few milliseconds early')
  const { received, refused, create } = await emulator.calls()
  assert.deepEqual([received, refused, create], [2, 1, 1])
})

test('both clients connect over TLS with a custom certificate authority', async (t) => {
  const emulator = await communicationEmulator(t)
  const { endpoint, ca, caFile } = await tlsProxy(t, emulator.port)
  const connectionString = emulator.connectionString.replace(emulator.endpoint, endpoint)
  await runAllOperations(emulator, new CommunicationIdentityClient(connectionString, { tlsOptions: { ca } }))
  const { afterDelete } = await python('tls', connectionString, caFile)
  assert.deepEqual(afterDelete, [404, 'NotFound'])
})

test('without allowInsecureConnection the JavaScript client sends nothing over http', async (t) => {
  const emulator = await communicationEmulator(t)
  await assert.rejects(new CommunicationIdentityClient(emulator.connectionString).createUser(), /allowInsecureConnection/)
  assert.equal((await emulator.calls()).received, 0)
})

test('a trailing slash in the endpoint of the Python client invalidates its signature', async (t) => {
  const emulator = await communicationEmulator(t)
  assert.deepEqual(await python('sync', `${emulator.endpoint}/`, emulator.key), { error: [401, 'Denied'] })
})
