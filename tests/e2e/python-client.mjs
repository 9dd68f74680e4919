// Runs the published Python clients as processes that print one line for each event.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { asyncQueue } from './async-queue.mjs'

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))
const CLIENTS = fileURLToPath(new URL('clients/', import.meta.url))

/** Starts `clients/{name}_client.py` until the end of the test. `next` resolves with the next line, or rejects when it exits. */
export function pythonClient(t, name, args, variables = {}) {
  const env = { ...process.env, PYTHONUTF8: '1', ...variables }
  const child = spawn(PYTHON, [`${CLIENTS}${name}_client.py`, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const printed = asyncQueue()
  const errors = []
  createInterface({ input: child.stdout }).on('line', printed.push)
  createInterface({ input: child.stderr }).on('line', line => errors.push(line))
  const exited = once(child, 'close').then(([code]) => { throw new Error(`${name} exited with ${code}:\n${errors.join('\n')}`) })
  exited.catch(() => {})
  return { next: () => Promise.race([printed.next(), exited]) }
}
