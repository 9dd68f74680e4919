// Published clients for Python: each a process that prints what happens to it, a line each time.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inbox } from './async-queue.mjs'

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))
const CLIENTS = fileURLToPath(new URL('clients/', import.meta.url))

/**
 * Starts `clients/{name}_client.py`, which ends with the test. The client's `next` is the next line that it prints, and an
 * error once it has ended.
 */
export function pythonClient(t, name, args, variables = {}) {
  const env = { ...process.env, PYTHONUTF8: '1', ...variables }
  const child = spawn(PYTHON, [`${CLIENTS}${name}_client.py`, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const printed = inbox()
  const complaints = []
  createInterface({ input: child.stdout }).on('line', printed.put)
  createInterface({ input: child.stderr }).on('line', line => complaints.push(line))
  const ended = once(child, 'close').then(([code]) => { throw new Error(`${name} ended with ${code}:\n${complaints.join('\n')}`) })
  ended.catch(() => {})
  return { next: () => Promise.race([printed.next(), ended]) }
}
