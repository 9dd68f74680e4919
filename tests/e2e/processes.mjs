// The real `handler` as a process: started, asked where it listens, stopped with the test that started it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as patience } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const PATIENCE_MS = 20_000

/** Starts `handler` with nothing but `variables` in its environment; resolves when it prints a line that `isReady`. */
export async function handler(t, args, variables = {}, isReady = line => line.startsWith('ready')) {
  const child = spawn(`${root}target/debug/handler`, args, { cwd: root, env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  // What a test leaves behind is left in the order it came; visitors have to go before the house does, or they complain.
  const farewells = []
  t.after(async () => {
    try {
      for (const farewell of farewells) await farewell()
    } finally {
      child.kill('SIGKILL')
    }
  })
  const lines = []
  const ended = once(child, 'exit')
  const ready = new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        lines.push(line)
        if (isReady(line)) resolve('ready')
      })
    }
  })
  const outcome = await Promise.race([ready, ended, patience(PATIENCE_MS, 'late', { ref: false })])
  if (outcome !== 'ready') throw new Error(`handler ${args.join(' ')} did not get ready:\n${lines.join('\n')}`)
  return {
    lines,
    /** Has `farewell` done when the test is over, while this still runs. */
    beforeEnd: farewell => farewells.push(farewell),
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

/** A handler behind a host that is us. */
export async function behindHost(t, variables) {
  const port = await freePort()
  const started = await handler(t, [], { FUNCTIONS_CUSTOMHANDLER_PORT: `${port}`, ...variables }, line => line.includes('listening on'))
  return { ...started, url: `http://127.0.0.1:${port}` }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
