// The emulator of Azure Communication Services as a program, with the test's side of it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../target/debug/examples/serve', import.meta.url))

/** An emulator of the test's own, stopped with it. */
export async function emulator(t) {
  const child = spawn(PROGRAM, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let connectionString
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('connection ')) connectionString = line.slice('connection '.length).trim()
    if (line === 'ready') break
  }
  const [, endpoint, key] = /^endpoint=(.*)\/;accesskey=(.*)$/.exec(connectionString)
  const ask = async (method, path, body) => {
    const init = { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) }
    const response = await fetch(`${endpoint}/_emulator/${path}`, init)
    assert.ok(response.ok, `${method} ${path}: ${response.status}`)
    return response
  }
  return {
    connectionString, endpoint, key,
    port: Number(new URL(endpoint).port),
    calls: async () => (await ask('GET', 'calls')).json(),
    state: async token => (await (await ask('POST', 'introspect', { token })).json()).state,
    throttleOnce: () => ask('POST', 'faults', { status: 429, retryAfter: 1 }),
  }
}
