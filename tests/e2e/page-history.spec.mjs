// Browser tests of the history on the page: everyone sees the same messages in the same order, although services and networks fail meanwhile.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failingCalls } from './api-proxy.mjs'
import { useAzurite } from './azurite.mjs'
import { useBrowser } from './chat-user.mjs'
import { startFaultyStack } from './faulty-stack.mjs'
import { handlersOnAzurite } from './handlers-on-azurite.mjs'
import { startLocalStack } from './processes.mjs'

const browser = useBrowser()
const azurite = useAzurite({ oauth: true })
const ANN = 'ann@example.com'
const BEN = 'ben@example.com'
const CY = 'cy@example.com'
// The browser logs failed requests as errors.
const WITH_ERRORS = { allowConsoleErrors: true }
const MESSAGES_EACH = 250
const FAULTS = 10
const NUMBERED = /(?:ann|ben) writes number \d+\./

const signedIn = async (chat, name, options) => (await browser.newUser(chat, options)).signIn(name)

test('Cy, who comes later, reads what Ann and Ben wrote in a room, and all see it in one order after a reload', async (t) => {
  const chat = await startLocalStack(t)
  const [ann, ben] = await Promise.all([ANN, BEN].map(name => signedIn(chat, name)))
  await Promise.all([ann, ben].map(person => person.entersRoom('games')))
  const texts = name => Array.from({ length: 10 }, (_, at) => `${name} writes number ${at}.`)
  await Promise.all([ann.writesAll(texts('ann')), ben.writesAll(texts('ben'))])

  const cy = await signedIn(chat, CY)
  await cy.entersRoom('games')
  const seen = await cy.allMessages(NUMBERED, 20)
  assert.equal(seen.length, 20)
  for (const name of ['ann', 'ben']) assert.deepEqual(seen.filter(text => text.startsWith(name)), texts(name))
  for (const person of [ann, ben, cy]) {
    await person.page.reload()
    await person.isOnline()
    await person.opens('#games')
    assert.deepEqual(await person.allMessages(NUMBERED, 20), seen)
  }
})

const VARIANTS = [
  { name: 'the service is killed and the network is cut', share: 0 },
  { name: 'the service is killed, the network is cut and one call in ten fails', share: 0.1 },
  { name: 'the service is killed and the network is cut, with two handlers on Azurite', share: 0, isOnAzurite: true },
]

for (const { name, share, isOnAzurite = false } of VARIANTS) test(`every message is on all screens once and in one order, although ${name}`, async (t) => {
  const chat = await startFaultyStack(t, isOnAzurite ? { apiTarget: handlersOnAzurite(t, azurite) } : {})
  const people = await Promise.all([ANN, BEN, CY].map(who => signedIn(chat, who, WITH_ERRORS)))
  const [ann, ben] = people
  chat.apiProxy.rule = failingCalls(share, 20)

  async function kill() {
    await chat.service.kill()
    await chat.service.start()
  }
  async function cut() {
    chat.network.cut()
    await Promise.all(people.map(person => person.isNotOnline()))
    chat.network.restore()
  }
  let written = 0
  let fault = Promise.resolve()
  let faults = 0
  async function onWritten() {
    written += 1
    if (written % Math.floor(2 * MESSAGES_EACH / (FAULTS + 1)) !== 0 || faults === FAULTS) return
    const strike = [kill, cut][faults % 2]
    faults += 1
    fault = fault.then(strike).then(() => Promise.all(people.map(person => person.reconnects())))
    // The next fault waits for the end of this one, and the writers for the next fault.
    await fault
  }
  const texts = who => Array.from({ length: MESSAGES_EACH }, (_, at) => `${who} writes number ${at}.`)
  await Promise.all([ann.writesAll(texts('ann'), onWritten), ben.writesAll(texts('ben'), onWritten)])
  await fault
  assert.equal(faults, FAULTS)
  await Promise.all([ann.hasSentAll(), ben.hasSentAll()])
  const [seen, ...others] = await Promise.all(people.map(person => person.allMessages(NUMBERED, 2 * MESSAGES_EACH)))
  for (const who of ['ann', 'ben']) assert.deepEqual(seen.filter(text => text.startsWith(who)), texts(who))
  for (const other of others) assert.deepEqual(other, seen)
  chat.apiProxy.rule = () => undefined
  await Promise.all(people.map(async (person) => {
    await person.page.reload()
    await person.isOnline()
    assert.deepEqual(await person.allMessages(NUMBERED, 2 * MESSAGES_EACH), seen)
  }))
})

test('a private thread is on both devices of a person; erased, it is gone there and kept with the other person', async (t) => {
  const chat = await startLocalStack(t)
  const [laptop, phone, ben] = await Promise.all([ANN, ANN, BEN].map(name => signedIn(chat, name)))
  await laptop.startsPrivateConversation(BEN)
  await laptop.sends('From my laptop')
  await phone.opens(BEN)
  await phone.sees('From my laptop')
  await phone.sends('From my phone')
  await ben.opens(ANN)
  await ben.sends('Thank you')
  for (const person of [laptop, phone, ben]) await person.sees('Thank you')

  await phone.page.reload()
  await phone.opens(BEN)
  for (const text of ['From my laptop', 'From my phone', 'Thank you']) await phone.sees(text)

  await phone.chooses(/^Erase/)
  await phone.confirms('Erase')
  await phone.message('Thank you').waitFor({ state: 'detached' })
  for (const [name, device] of Object.entries({ laptop, phone })) {
    await device.page.reload()
    await device.isOnline()
    await device.startsPrivateConversation(BEN)
    await device.sends(`Again with my ${name}`)
    await device.hasSent(`Again with my ${name}`)
    assert.equal(await device.message(/From my|Thank you/).count(), 0)
  }
  await ben.page.reload()
  await ben.opens(ANN)
  for (const text of ['From my laptop', 'From my phone', 'Thank you', 'Again with my laptop', 'Again with my phone']) await ben.sees(text)
})

test('a removed message is gone from all screens within a second, and after a reload', async (t) => {
  const chat = await startLocalStack(t)
  const people = await Promise.all([ANN, BEN].map(name => signedIn(chat, name)))
  const [ann, ben] = people
  await ann.sends('Not meant for you')
  await ann.sends('Good morning')
  for (const person of people) await person.sees('Good morning')
  await ben.sees('Not meant for you')
  await ann.removes('Not meant for you')
  await Promise.all(people.map(person => person.message('Not meant for you').waitFor({ state: 'detached', timeout: 1000 })))
  for (const person of people) {
    await person.page.reload()
    await person.sees('Good morning')
    assert.doesNotMatch(await person.page.locator('body').innerText(), /Not meant for you/)
  }
  assert.equal(await ben.page.getByRole('button', { name: 'Remove message' }).count(), 0, 'Ben can remove a message of Ann')
})
