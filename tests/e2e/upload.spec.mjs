// Tests of `npm run upload` with the built page and Azurite.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { useAzurite } from './azurite.mjs'

const azurite = useAzurite()
const CONTENT = fileURLToPath(new URL('../../content', import.meta.url))
const API = 'https://my-chat.azurewebsites.net'
const SCRIPT = 'assets/index-AAAAAAAA.js'
const STYLE = 'assets/index-BBBBBBBB.css'
const BUILD = {
  'index.html': `<script type="module" src="./${SCRIPT}"></script>`,
  '404.html': 'nothing here',
  'config.json': '{"apiBaseUrl":"http://localhost:7071","authProvider":"aad"}',
  'favicon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  [SCRIPT]: 'console.log(1)',
  [STYLE]: 'body{}',
}

/** Runs the command with only PATH, HOME and `variables` in its environment. */
async function upload(args, variables = {}) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...variables }
  const child = spawn('npm', ['--prefix', CONTENT, 'run', '--silent', 'upload', '--', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code, out, err }
}

/** Runs an upload to `account` with its connection string. */
function uploadTo(account, ...args) {
  return upload(['--account', account.name, ...args], { AZURE_STORAGE_CONNECTION_STRING: account.connectionString })
}

/** Runs an upload that must succeed; returns its output. */
async function uploadSucceeds(account, ...args) {
  const result = await uploadTo(account, ...args)
  assert.deepEqual([result.code, result.err], [0, ''])
  return result.out
}

/** A folder with the files of a build. */
async function build(t, files = BUILD) {
  const folder = await mkdtemp(join(tmpdir(), 'dist-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  return folder
}

async function names({ container }) {
  const found = []
  for await (const { name } of container.listBlobsFlat()) found.push(name)
  return found
}

async function contentOf({ container }, name) {
  return (await container.getBlobClient(name).downloadToBuffer()).toString()
}

/** The names of the uploaded files, in order. */
function uploadedNames({ proxy, name }) {
  const start = `PUT /${name}/$web/`
  return proxy.requests.filter(line => line.startsWith(start) && !line.includes('?')).map(line => line.slice(start.length))
}

function writes({ proxy }) {
  return proxy.requests.filter(line => !line.startsWith('GET ') && !line.startsWith('HEAD '))
}

test('an upload sets the content types and caching headers, and enables the static website', async (t) => {
  const account = await azurite.account(t)
  await uploadSucceeds(account, '--api', `${API}/`, '--provider', 'github')

  const { staticWebsite } = await account.service.getProperties()
  assert.deepEqual([staticWebsite.enabled, staticWebsite.indexDocument, staticWebsite.errorDocument404Path], [true, 'index.html', '404.html'])
  const found = await names(account)
  for (const name of ['index.html', '404.html', 'config.json', 'favicon.svg']) assert.ok(found.includes(name), `${name} is missing`)
  const headers = {
    '.html': ['text/html; charset=utf-8', 'no-cache'],
    '.json': ['application/json; charset=utf-8', 'no-cache'],
    '.svg': ['image/svg+xml; charset=utf-8', 'public, max-age=3600'],
    '.js': ['text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
    '.css': ['text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
  }
  const seen = new Set()
  for (const name of found) {
    const { contentType, cacheControl } = await account.container.getBlobClient(name).getProperties()
    const ending = name.slice(name.lastIndexOf('.'))
    assert.deepEqual([contentType, cacheControl], headers[ending], name)
    seen.add(ending)
    if (name !== 'config.json') assert.equal(await contentOf(account, name), await readFile(`${CONTENT}/dist/${name}`, 'utf8'), name)
  }
  assert.deepEqual([...seen].sort(), Object.keys(headers).sort())
  assert.deepEqual(JSON.parse(await contentOf(account, 'config.json')), { apiBaseUrl: API, authProvider: 'github' })
})

test('assets are uploaded first and index.html last', async (t) => {
  const account = await azurite.account(t)
  const out = await uploadSucceeds(account, '--api', API, '--dist', await build(t))
  const order = uploadedNames(account)
  assert.deepEqual(new Set(order.slice(0, 2)), new Set([SCRIPT, STYLE]))
  assert.deepEqual(order.slice(2), ['404.html', 'config.json', 'favicon.svg', 'index.html'])
  for (const name of order) assert.equal(out.split('\n').filter(line => line.includes(` ${name} `)).length, 1, `one line about ${name}`)
})

test('an interrupted upload leaves the old index.html and its assets', async (t) => {
  const account = await azurite.account(t)
  await uploadSucceeds(account, '--api', API, '--dist', await build(t))
  const newScript = 'assets/index-CCCCCCCC.js'
  const { [SCRIPT]: _, ...rest } = BUILD
  const next = await build(t, { ...rest, 'index.html': `<script type="module" src="./${newScript}"></script>`, [newScript]: 'console.log(2)' })

  account.proxy.isBlocked = line => line.startsWith('PUT') && line.includes(newScript)
  const { code, err } = await uploadTo(account, '--api', API, '--dist', next)
  assert.equal(code, 77)
  assert.match(err, /refuses/)
  assert.equal(await contentOf(account, 'index.html'), BUILD['index.html'])
  assert.equal(await contentOf(account, SCRIPT), BUILD[SCRIPT])
})

test('a second upload of the same build changes nothing', async (t) => {
  const account = await azurite.account(t)
  const dist = await build(t)
  await uploadSucceeds(account, '--api', API, '--dist', dist)
  account.proxy.requests.length = 0
  const out = await uploadSucceeds(account, '--api', API, '--dist', dist)
  assert.ok(account.proxy.requests.length > 0)
  assert.deepEqual(writes(account), [])
  assert.equal(out.match(/^unchanged /gm).length, Object.keys(BUILD).length + 1)
})

test('an upload restores changed headers of a blob', async (t) => {
  const account = await azurite.account(t)
  const dist = await build(t)
  await uploadSucceeds(account, '--api', API, '--dist', dist)
  await account.container.getBlobClient('index.html').setHTTPHeaders({ blobContentType: 'application/octet-stream' })
  await uploadSucceeds(account, '--api', API, '--dist', dist)
  const { contentType, cacheControl } = await account.container.getBlobClient('index.html').getProperties()
  assert.deepEqual([contentType, cacheControl], ['text/html; charset=utf-8', 'no-cache'])
})

test('a stale asset is removed after a week, and other blobs are kept', async (t) => {
  const account = await azurite.account(t)
  const first = await build(t)
  const { [SCRIPT]: _, ...rest } = BUILD
  const second = await build(t, { ...rest, 'assets/index-CCCCCCCC.js': 'console.log(2)' })
  const staleSince = async () => (await account.container.getBlobClient(SCRIPT).getProperties()).metadata.stalesince
  await uploadSucceeds(account, '--api', API, '--dist', first)
  await account.container.uploadBlockBlob('robots.txt', 'by hand', 7)

  assert.match(await uploadSucceeds(account, '--api', API, '--dist', second), new RegExp(`^stale +${SCRIPT}`, 'm'))
  assert.ok(Math.abs(Date.now() - Date.parse(await staleSince())) < 600_000)
  assert.equal(await contentOf(account, SCRIPT), BUILD[SCRIPT])

  // With the first build again, the asset loses its mark; the next upload without it starts a new week.
  await uploadSucceeds(account, '--api', API, '--dist', first)
  assert.equal(await staleSince(), undefined)
  await uploadSucceeds(account, '--api', API, '--dist', second)

  const eightDaysAgo = new Date(Date.now() - 8 * 24 * 3600 * 1000).toISOString()
  await account.container.getBlobClient(SCRIPT).setMetadata({ stalesince: eightDaysAgo })
  assert.match(await uploadSucceeds(account, '--api', API, '--dist', second), new RegExp(`^removed +${SCRIPT}`, 'm'))
  const left = await names(account)
  assert.ok(!left.includes(SCRIPT))
  assert.ok(left.includes('robots.txt') && left.includes('assets/index-CCCCCCCC.js'))
})

test('--no-website does not change the setting of the static website', async (t) => {
  const account = await azurite.account(t)
  await uploadSucceeds(account, '--api', API, '--no-website', '--dist', await build(t))
  assert.equal((await account.service.getProperties()).staticWebsite.enabled, false)
  assert.ok((await names(account)).includes('index.html'))
})

test('hidden files are not published', async (t) => {
  const account = await azurite.account(t)
  await uploadSucceeds(account, '--api', API, '--dist', await build(t, { ...BUILD, '.env': 'secret', '.git/config': 'secret', '.well-known/security.txt': 'public' }))
  assert.deepEqual((await names(account)).filter(name => name.startsWith('.')), ['.well-known/security.txt'])
})

test('a dry run lists the files in order and sends no request', async (t) => {
  const account = await azurite.account(t)
  const out = await uploadSucceeds(account, '--api', API, '--dry-run', '--dist', await build(t))
  const lines = out.trim().split('\n')
  assert.equal(lines.length, Object.keys(BUILD).length)
  assert.match(lines.at(-1), /would upload +index\.html +\(text\/html; charset=utf-8; no-cache\)/)
  assert.deepEqual(account.proxy.requests, [])
})

/** Invalid arguments with exit code and message. More are in `content/upload/*.test.ts`. */
const INVALID_ARGUMENTS = [
  ['an unknown argument', ['--acount', 'x'], 64, /--acount/],
  ['a localhost URL from the build', [], 78, /own machine.*--api/s],
  ['a missing folder', ['--dist', '/nowhere/at/all'], 66, /npm --prefix content run build/],
  ['the connection string of another account', ['--account', 'otheraccount', '--api', API], 64, /is for the account chatpages\d+, not for otheraccount/],
  ['an endpoint with a connection string', ['--endpoint', 'https://a.example', '--api', API], 64, /leave out --endpoint/],
]
for (const [what, args, expected, message] of INVALID_ARGUMENTS) test(`${what} is rejected before any request`, async (t) => {
  const account = await azurite.account(t)
  const { code, out, err } = await uploadTo(account, '--dist', await build(t), ...args)
  assert.deepEqual([code, out, account.proxy.requests], [expected, '', []])
  assert.match(err, message)
})

test('a folder without index.html is rejected', async (t) => {
  const { 'index.html': _, ...rest } = BUILD
  const { code, err } = await upload(['--account', 'chatpages', '--api', API, '--dist', await build(t, rest)])
  assert.equal(code, 66)
  assert.match(err, /no built page/)
})

test('a wrong key is reported without the key', async (t) => {
  const account = await azurite.account(t)
  const wrong = Buffer.from('not the key of this account').toString('base64')
  const variables = { AZURE_STORAGE_CONNECTION_STRING: account.connectionStringWith(wrong) }
  const { code, out, err } = await upload(['--account', account.name, '--api', API, '--dist', await build(t)], variables)
  assert.equal(code, 77)
  assert.match(err, /refuses the key or signature in AZURE_STORAGE_CONNECTION_STRING/)
  assert.ok(!`${out}${err}`.includes(wrong) && !/SharedKey|signature found/.test(err))
})

test('a missing account and an unreachable address are reported', async (t) => {
  const { proxy, connectionString, name } = await azurite.account(t)
  const args = ['--api', API, '--dist', await build(t)]
  const missing = connectionString.replaceAll(name, 'nosuchaccount')
  const absent = await upload(['--account', 'nosuchaccount', ...args], { AZURE_STORAGE_CONNECTION_STRING: missing })
  assert.equal(absent.code, 69)
  assert.match(absent.err, /no account named nosuchaccount/)
  const unreachable = connectionString.replace(proxy.url, 'http://127.0.0.1:1')
  const failed = await upload(['--account', name, ...args], { AZURE_STORAGE_CONNECTION_STRING: unreachable })
  assert.equal(failed.code, 69)
  assert.match(failed.err, /cannot be reached/)
})

test('without a sign-in the message says how to sign in', async (t) => {
  // Limits the sign-in to environment variables, of which there are none.
  const args = ['--account', 'chatpages', '--endpoint', 'https://127.0.0.1:1', '--api', API, '--dist', await build(t)]
  const { code, err } = await upload(args, { AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential' })
  assert.equal(code, 67)
  assert.match(err, /az login/)
})
