// Starts the binaries `chat` and `handler`, and stops them with the test.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const START_TIMEOUT_MS = 20_000

/** Starts `target/debug/{binary}` with only `variables` in its environment; resolves when it prints a line that `isReady`. */
async function start(t, binary, args, variables, isReady) {
  const child = spawn(`${ROOT}target/debug/${binary}`, args, { cwd: ROOT, env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  // Browsers and clients close before the process ends, or they report a lost connection.
  const cleanups = []
  t.after(async () => {
    try {
      for (const cleanup of cleanups) await cleanup()
    } finally {
      child.kill('SIGKILL')
    }
  })
  const lines = []
  // Unlike `exit`, `close` waits for the end of the output.
  const closed = once(child, 'close')
  const ready = new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        lines.push(line)
        if (isReady(line)) resolve('ready')
      })
    }
  })
  const outcome = await Promise.race([ready, closed, sleep(START_TIMEOUT_MS, 'timeout', { ref: false })])
  if (outcome !== 'ready') throw new Error(`${binary} ${args.join(' ')} did not start:\n${lines.join('\n')}`)
  return {
    lines,
    /** Runs `cleanup` at the end of the test, before the process is stopped. */
    beforeEnd: cleanup => cleanups.push(cleanup),
    /** The value that was printed after `label` at start. */
    printed(label) {
      const line = lines.find(line => line.trim().startsWith(`${label} `))
      if (line === undefined) throw new Error(`no ${label} in:\n${lines.join('\n')}`)
      return line.trim().slice(label.length).trim()
    },
    /** Stops the process; resolves with its exit code, when all its lines are in `lines`. */
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const [code] = await closed
      return code
    },
  }
}

/** `chat`, without a history unless `variables` say where. */
export function startChat(t, args, variables = {}) {
  return start(t, 'chat', args, { ChatHistory: 'off', ...variables }, line => line.startsWith('ready'))
}

/** `chat emulator`: the SignalR emulator as a separate process. */
export function startEmulator(t, args, variables) {
  return startChat(t, ['emulator', ...args], variables)
}

/** `chat`: the whole local stack on free ports, with a history of its own unless `variables` say where. */
export async function startLocalStack(t, variables = {}, args = []) {
  const freePorts = ['--page-port', '--api-port', '--signalr-port', '--communication-port'].flatMap(port => [port, '0'])
  const history = await mkdtemp(join(tmpdir(), 'chat-history-'))
  const stack = await startChat(t, [...freePorts, ...args], { ChatHistory: history, ...variables })
  t.after(() => rm(history, { recursive: true, force: true, maxRetries: 5 }))
  const api = stack.printed('functions').replace(/\/api$/, '')
  return { ...stack, page: stack.printed('page'), api }
}

/** `handler`, with the test as its Functions host, on `port` or a free one. */
export async function startHandler(t, variables, port) {
  port ??= await freePort()
  const environment = { FUNCTIONS_CUSTOMHANDLER_PORT: `${port}`, ...variables }
  const handler = await start(t, 'handler', [], environment, line => line.includes('listening on'))
  return { ...handler, url: `http://127.0.0.1:${port}` }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
