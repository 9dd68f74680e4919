// The emulator of Azure Communication Services as a process, with a client of its test API.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../target/debug/examples/serve', import.meta.url))

/** Starts an emulator until the end of the test. */
export async function communicationEmulator(t) {
  const child = spawn(PROGRAM, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let connectionString
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('connection ')) connectionString = line.slice('connection '.length).trim()
    if (line === 'ready') break
  }
  const [, endpoint, key] = /^endpoint=(.*)\/;accesskey=(.*)$/.exec(connectionString)
  const request = async (method, path, body) => {
    const init = { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) }
    const response = await fetch(`${endpoint}/_emulator/${path}`, init)
    assert.ok(response.ok, `${method} ${path}: ${response.status}`)
    return response
  }
  return {
    connectionString, endpoint, key,
    port: Number(new URL(endpoint).port),
    identities: async () => (await (await request('GET', 'identities')).json()).map(({ id }) => id),
    calls: async () => (await request('GET', 'calls')).json(),
    state: async token => (await (await request('POST', 'introspect', { token })).json()).state,
    throttleOnce: () => request('POST', 'faults', { status: 429, retryAfter: 1 }),
  }
}
