// Azurite, the emulator of Azure Storage: one process for each test file, and for each test an account behind an HTTP proxy that
// records and blocks requests. Azurite stores the settings of a static website but does not serve it.

import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('node_modules/azurite/dist/src/blob/main.js', import.meta.url))
const { BlobServiceClient } = createRequire(new URL('../../content/', import.meta.url))('@azure/storage-blob')
const START_TIMEOUT_MS = 60_000
const MAX_ACCOUNTS = 40

/** Starts one Azurite for all tests of a file. With `oauth` it accepts access tokens too, and is called over HTTPS, with its own certificate. */
export function useAzurite({ oauth = false } = {}) {
  const unused = Array.from({ length: MAX_ACCOUNTS }, (_, at) => ({ name: `chatpages${at}`, key: randomBytes(64).toString('base64') }))
  const accounts = unused.map(({ name, key }) => `${name}:${key}`).join(';')
  let child
  let folder
  let port
  let certificate
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'azurite-'))
    // The client's API version is newer than that of the last Azurite for Node.js 20.
    const args = ['--blobPort', '0', '--location', folder, '--silent', '--disableTelemetry', '--skipApiVersionCheck']
    if (oauth) {
      const [cert, key] = ['cert.pem', 'key.pem'].map(name => join(folder, name))
      const extensions = ['subjectAltName=DNS:localhost,IP:127.0.0.1', 'basicConstraints=critical,CA:FALSE'].flatMap(extension => ['-addext', extension])
      const openssl = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost', ...extensions, '-keyout', key, '-out', cert]
      execFileSync('openssl', openssl, { stdio: 'ignore' })
      args.push('--oauth', 'basic', '--cert', cert, '--key', key)
      certificate = await readFile(cert, 'utf8')
    }
    child = spawn(process.execPath, [PROGRAM, ...args], { env: { AZURITE_ACCOUNTS: accounts }, stdio: ['ignore', 'pipe', 'inherit'] })
    port = await Promise.race([portOf(child), sleep(START_TIMEOUT_MS, undefined, { ref: false })])
    if (port === undefined) throw new Error('Azurite did not start')
  })
  after(async () => {
    if (child?.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  return { account: t => account(t, port, unused.pop(), certificate) }
}

async function portOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (port !== undefined) return port
  }
}

/** A new account with its own HTTP proxy; with a `certificate` Azurite itself is called at `httpsUrl`. */
async function account(t, port, { name, key }, certificate) {
  const proxy = await startProxy(t, port, certificate)
  const connectionStringWith = accountKey =>
    `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${accountKey};BlobEndpoint=${proxy.url}/${name};`
  const direct = certificate ? connectionStringWith(key) : connectionStringWith(key).replace(proxy.url, `http://127.0.0.1:${port}`)
  const service = BlobServiceClient.fromConnectionString(direct)
  const httpsUrl = `https://127.0.0.1:${port}/${name}`
  return { name, key, connectionString: connectionStringWith(key), connectionStringWith, proxy, service, httpsUrl, certificate, container: service.getContainerClient('$web') }
}

/** Forwards to `port`, records method and path in `requests`, and answers 403 where `isBlocked`. */
async function startProxy(t, port, certificate) {
  const proxy = { requests: [], isBlocked: () => false }
  const server = createServer((from, to) => {
    const line = `${from.method} ${decodeURIComponent(from.url)}`
    proxy.requests.push(line)
    if (proxy.isBlocked(line)) {
      from.resume()
      to.writeHead(403, { 'x-ms-error-code': 'BlockedByTest' }).end()
      return
    }
    const options = { host: '127.0.0.1', port, method: from.method, path: from.url, headers: from.headers, ca: certificate }
    const forwarded = (certificate ? httpsRequest : request)(options, (response) => {
      to.writeHead(response.statusCode, response.headers)
      response.pipe(to)
    })
    forwarded.on('error', () => to.destroy())
    from.pipe(forwarded)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  proxy.url = `http://127.0.0.1:${server.address().port}`
  return proxy
}
