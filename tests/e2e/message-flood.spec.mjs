// Browser tests of floods: texts that are chosen to be slow to show, and many messages at once. They measure the processor time of
// the page's thread, which does not depend on the load of the machine.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmulator, startLocalStack } from './processes.mjs'
import { signalREmulator } from './signalr-emulator.mjs'
import { tcpProxy } from './tcp-proxy.mjs'
import { useBrowser } from './chat-user.mjs'

const browser = useBrowser()
const ALICE = 'alice@contoso.com'
const MAX_TEXT_LENGTH = 4096
const worstTexts = JSON.parse(await readFile(new URL('../data/worst-messages.json', import.meta.url), 'utf8')).map(build)

/** `start`, then `repeat` as often as possible, then `end`: at most `MAX_TEXT_LENGTH` characters. */
function build({ start, repeat, end = '' }) {
  const count = Math.floor((MAX_TEXT_LENGTH - [...start + end].length) / [...repeat].length)
  return start + repeat.repeat(count) + end
}

/** Sends `texts` as guests, from eight callers at once, and waits until all are published. */
async function publish(chat, texts) {
  const queue = [...texts]
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let text = queue.shift(); text !== undefined; text = queue.shift()) {
      const response = await fetch(`${chat.api}/api/messages`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text, nickname: 'Zed' }),
      })
      assert.equal(response.status, 202, await response.text())
    }
  }))
}

/** Seconds of processor time of the page's thread since it was created. */
async function cpuSeconds(session) {
  const { metrics } = await session.send('Performance.getMetrics')
  return metrics.find(({ name }) => name === 'TaskDuration').value
}

/**
 * Presses keys in the composer while `work` is under way; resolves with the seconds of processor time of the page's thread, in all and for each
 * key until its frame.
 */
async function measure(t, { page }, work) {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  await page.getByRole('textbox', { name: 'Message to everyone' }).focus()
  await page.evaluate(() => {
    document.addEventListener('keydown', () => {
      globalThis.frame = new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)) })
    }, true)
  })
  const start = await cpuSeconds(session)
  let [isDone, before] = [false, start]
  const [done, keys] = [work().finally(() => { isDone = true }), []]
  while (!isDone) {
    await page.keyboard.press('a')
    await page.evaluate(() => globalThis.frame)
    const after = await cpuSeconds(session)
    keys.push(after - before)
    before = after
  }
  await done
  const seconds = await cpuSeconds(session) - start
  keys.sort((a, b) => a - b)
  const milliseconds = key => ((key ?? 0) * 1000).toFixed(0)
  t.diagnostic(`${seconds.toFixed(2)} s of processor time; ${keys.length} keys, median ${milliseconds(keys[keys.length >> 1])} ms, slowest ${keys.slice(-4).map(milliseconds).join(', ')} ms`)
  return { seconds, keys }
}

/** A stack whose SignalR service is behind a proxy, which delivers the messages of a flood all at once. */
async function stackBehindProxy(t) {
  const emulator = await startEmulator(t, ['--port', '0'])
  const port = new URL(emulator.printed('SignalR')).port
  const proxy = await tcpProxy(t, port)
  const connection = emulator.printed('connection').replace(/(Endpoint=)[^;]*/, `$1${proxy.url}`).replace(/Port=[^;]*;?/, '')
  const chat = await startLocalStack(t, { ChatMessageRate: '0', AzureSignalRConnectionString: connection })
  return { chat, proxy }
}

/** Sends `texts`, and delivers them at once to `reader`; resolves with the processor time of the reader's page. */
async function flood(t, { chat, proxy }, reader, texts) {
  proxy.hold()
  await publish(chat, texts)
  await publish(chat, ['the last one'])
  const { seconds } = await measure(t, reader, async () => {
    proxy.release()
    await reader.sees('the last one')
  })
  return seconds
}

test('messages whose texts are slow to show do not stop the page of a reader', async (t) => {
  const stack = await stackBehindProxy(t)
  const alice = await (await browser.newUser(stack.chat)).signIn(ALICE)
  // Each of these has stopped the page for a third of a second.
  const brackets = Array.from({ length: 60 }, () => worstTexts[0])
  const seconds = await flood(t, stack, alice, [...brackets, ...worstTexts, ...worstTexts])
  assert.ok(seconds < 3, `the page was busy for ${seconds} s`)
})

test('a thousand messages at once do not stop the page of a reader', async (t) => {
  const stack = await stackBehindProxy(t)
  const alice = await (await browser.newUser(stack.chat)).signIn(ALICE)
  const seconds = await flood(t, stack, alice, Array.from({ length: 1000 }, (_, n) => `message ${n}`))
  const elements = await alice.log.getByRole('listitem').count()
  assert.ok(elements < 600, `the list has ${elements} elements`)
  assert.ok(seconds < 3, `the page was busy for ${seconds} s`)
})

test('with 10,000 messages, and 200 more in a second, a keystroke shows within 100 ms', async (t) => {
  const emulator = await signalREmulator(t)
  const chat = await startLocalStack(t, { AzureSignalRConnectionString: emulator.printed('connection') })
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const sentAt = new Date().toISOString()
  const messages = (count, text) => Array.from({ length: count }, (_, at) => ({ id: `${text}-${at}`, sender: `person${at % 7}`, text: `${text} ${at}.`, sentAt }))
  const send = message => emulator.send(JSON.stringify([message]))
  const early = messages(10_000, 'early')
  while (early.length > 0) await Promise.all(early.splice(0, 50).map(send))
  await alice.sees('early 9999.')
  const { keys } = await measure(t, alice, async () => {
    const start = performance.now()
    for (const [at, message] of messages(1000, 'late').entries()) {
      await sleep(Math.max(0, start + at * 5 - performance.now()))
      await send(message)
    }
    await alice.sees('late 999.')
  })
  // One may have met a collection of garbage.
  const slow = keys.at(-2)
  assert.ok(keys.length > 20 && slow < 0.1, `the second slowest of ${keys.length} keys took ${slow} s`)
  // None of them is forgotten: the list goes back by a hundred messages at a time.
  await alice.log.evaluate(async (log) => {
    const frame = () => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)) })
    for (let step = 0; step < 200; step += 1) {
      log.scrollTop = 0
      await frame()
    }
  })
  await alice.sees('early 0.')
})
