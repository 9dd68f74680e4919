// The real `handler` as a process: started, asked where it listens, stopped with the test that started it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as patience } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const PATIENCE_MS = 20_000

/** Starts `handler` with nothing but `variables` in its environment; resolves when it says that everything listens. */
export async function handler(t, args, variables = {}) {
  const child = spawn(`${root}target/debug/handler`, args, { cwd: root, env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const lines = []
  const ended = once(child, 'exit')
  const ready = new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        lines.push(line)
        if (line.startsWith('ready')) resolve('ready')
      })
    }
  })
  const outcome = await Promise.race([ready, ended, patience(PATIENCE_MS, 'late', { ref: false })])
  if (outcome !== 'ready') throw new Error(`handler ${args.join(' ')} did not get ready:\n${lines.join('\n')}`)
  return {
    lines,
    /** What is printed beside `label` at start. */
    told(label) {
      const line = lines.find(line => line.trim().startsWith(`${label} `))
      if (line === undefined) throw new Error(`no ${label} in:\n${lines.join('\n')}`)
      return line.trim().slice(label.length).trim()
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const [code] = await ended
      return code
    },
  }
}

/** The whole local stack on free ports. */
export async function stack(t, variables = {}, args = []) {
  const anywhere = ['--page-port', '--api-port', '--signalr-port', '--communication-port'].flatMap(port => [port, '0'])
  const started = await handler(t, [...anywhere, ...args], variables)
  const api = started.told('functions').replace(/\/api$/, '')
  return { ...started, page: started.told('page'), api }
}
