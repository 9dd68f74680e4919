// Azurite, Microsoft's emulator of Azure Storage: one process for a test file, an account for each test, and a proxy in front that
// records requests and can refuse them. Azurite keeps a static website's settings but serves no site.

import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { request as requestOverTls } from 'node:https'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before } from 'node:test'
import { setTimeout as patience } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('node_modules/azurite/dist/src/blob/main.js', import.meta.url))
const { BlobServiceClient } = createRequire(new URL('../../content/', import.meta.url))('@azure/storage-blob')
const PATIENCE_MS = 60_000
const MOST_ACCOUNTS = 40

/** One Azurite for the tests of a file; with `oauth` it speaks HTTPS only, with a certificate of its own, and accepts access tokens too. */
export function azuriteOfThisFile({ oauth = false } = {}) {
  const unused = Array.from({ length: MOST_ACCOUNTS }, (_, at) => ({ name: `chatpages${at}`, key: randomBytes(64).toString('base64') }))
  const accounts = unused.map(({ name, key }) => `${name}:${key}`).join(';')
  let child
  let folder
  let port
  let certificate
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'azurite-'))
    // The client is newer than the Azurite that runs on Node.js 20, which otherwise refuses its API version unread.
    const args = ['--blobPort', '0', '--location', folder, '--silent', '--disableTelemetry', '--skipApiVersionCheck']
    if (oauth) {
      const [cert, key] = ['cert.pem', 'key.pem'].map(name => join(folder, name))
      const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
      const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-addext', names, '-addext', 'basicConstraints=critical,CA:FALSE']
      execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' })
      args.push('--oauth', 'basic', '--cert', cert, '--key', key)
      certificate = await readFile(cert, 'utf8')
    }
    child = spawn(process.execPath, [PROGRAM, ...args], { env: { AZURITE_ACCOUNTS: accounts }, stdio: ['ignore', 'pipe', 'inherit'] })
    port = await Promise.race([listening(child), patience(PATIENCE_MS, undefined, { ref: false })])
    if (port === undefined) throw new Error('Azurite did not start')
  })
  after(async () => {
    if (child?.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  return { account: t => account(t, port, unused.pop(), certificate) }
}

async function listening(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (port !== undefined) return port
  }
}

/** A fresh account, reached through a proxy of its own; with a `certificate` also by access tokens, at `secureUrl`. */
async function account(t, port, { name, key }, certificate) {
  const door = await openDoor(t, port, certificate)
  const connectionStringWith = accountKey =>
    `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${accountKey};BlobEndpoint=${door.url}/${name};`
  // The proxy records what the test itself does only where it cannot reach Azurite without it.
  const direct = certificate ? connectionStringWith(key) : connectionStringWith(key).replace(door.url, `http://127.0.0.1:${port}`)
  const service = BlobServiceClient.fromConnectionString(direct)
  const secureUrl = `https://127.0.0.1:${port}/${name}`
  return { name, key, connectionString: connectionStringWith(key), connectionStringWith, door, service, secureUrl, certificate, container: service.getContainerClient('$web') }
}

/** Passes everything on to `port`, remembers method and path, and answers 403 to what `door.shut` says. */
async function openDoor(t, port, certificate) {
  const door = { asked: [], shut: () => false }
  const server = createServer((from, to) => {
    const line = `${from.method} ${decodeURIComponent(from.url)}`
    door.asked.push(line)
    if (door.shut(line)) {
      from.resume()
      to.writeHead(403, { 'x-ms-error-code': 'ShutInTest' }).end()
      return
    }
    const [send, trust] = certificate ? [requestOverTls, { ca: certificate }] : [request, {}]
    const onward = send({ host: '127.0.0.1', port, method: from.method, path: from.url, headers: from.headers, ...trust }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers)
      answer.pipe(to)
    })
    onward.on('error', () => to.destroy())
    from.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  door.url = `http://127.0.0.1:${server.address().port}`
  return door
}
