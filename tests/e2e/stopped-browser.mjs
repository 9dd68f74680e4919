// A browser whose processes can be stopped, as by a computer that sleeps.

import { readdirSync, readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { LAUNCH_OPTIONS } from './chat-user.mjs'

/** Launches a browser; `stop` stops all of its processes until `continue`. */
export async function stopAndContinue(t) {
  const server = await chromium.launchServer(LAUNCH_OPTIONS)
  const browser = await chromium.connect(server.wsEndpoint())
  const signal = (name) => {
    for (const pid of [server.process().pid, ...descendants(server.process().pid)]) {
      try {
        process.kill(pid, name)
      } catch {
        // It has ended meanwhile.
      }
    }
  }
  t.after(async () => {
    signal('SIGCONT')
    await server.close()
  })
  return { browser, stop: () => signal('SIGSTOP'), continue: () => signal('SIGCONT') }
}

function descendants(pid) {
  const children = readdirSync('/proc').filter(name => /^\d+$/.test(name) && parentOf(name) === `${pid}`)
  return children.flatMap(child => [Number(child), ...descendants(child)])
}

function parentOf(pid) {
  try {
    return /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  } catch {
    // It has ended meanwhile.
    return undefined
  }
}
