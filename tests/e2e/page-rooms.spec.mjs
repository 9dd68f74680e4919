// Browser tests of rooms, unread messages and who is here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UNAVAILABLE } from './api-proxy.mjs'
import { apiUser } from './api-user.mjs'
import { useBrowser } from './chat-user.mjs'
import { startFaultyStack } from './faulty-stack.mjs'
import { startLocalStack } from './processes.mjs'

const browser = useBrowser()
const ANN = 'ann@example.com'
const BEN = 'ben@example.com'

const signedIn = async (chat, name, options) => (await browser.newUser(chat, options)).signIn(name)
const unreadOf = (person, name) => person.conversations.getByRole('button', { name }).getByText(/^\d+\+?( unread)?$/)

test('messages of a room are shown to those who have entered it, until they leave', async (t) => {
  const chat = await startLocalStack(t)
  const [ann, ben, cy] = await Promise.all([ANN, BEN, 'cy@example.com'].map(name => signedIn(chat, name)))
  await ann.entersRoom('Games')
  await ben.entersRoom('games')
  await ann.sends('Your move')
  await ben.sees('Your move')
  await cy.sends('To everyone')
  await ben.opens('Everyone')
  await ben.sees('To everyone')
  assert.equal(await ben.count('Your move'), 0)
  assert.equal(await cy.conversations.getByRole('button', { name: '#games' }).count(), 0)

  await ben.opens('#games')
  await ben.chooses(/^Leave/)
  await ben.conversations.getByRole('button', { name: '#games' }).waitFor({ state: 'detached' })
  await ann.sends('Are you there?')
  await ann.hasSent('Are you there?')
  await ben.page.reload()
  await ben.isOnline()
  assert.equal(await ben.conversations.getByRole('button', { name: '#games' }).count(), 0)
})

test('the rooms that a person has entered are there after a reload and after a reconnect', async (t) => {
  const chat = await startFaultyStack(t)
  const [ann, ben] = await Promise.all([ANN, BEN].map(name => signedIn(chat, name, { allowConsoleErrors: true })))
  for (const person of [ann, ben]) await person.entersRoom('games')
  await ann.page.reload()
  await ann.opens('#games')
  await ann.sends('After the reload')
  await ben.sees('After the reload')
  await chat.service.kill()
  await chat.service.start()
  for (const person of [ann, ben]) await person.reconnects()
  await ben.sends('After the reconnect')
  await ann.sees('After the reconnect')
})

test('a link to a room opens it after the sign-in, and can be copied', async (t) => {
  const chat = await startLocalStack(t)
  const clipboard = { permissions: ['clipboard-read', 'clipboard-write'] }
  const ann = await browser.newUser({ ...chat, page: `${chat.page}/#room=games` }, clipboard)
  await ann.signIn(ANN)
  const composer = ann.page.getByRole('textbox', { name: 'Message to #games' })
  await composer.waitFor()
  await ann.sends('Who plays?')
  await ann.hasSent('Who plays?')
  await ann.opens('Everyone')
  await ann.opens('#games')
  await ann.chooses(/^Copy link/)
  await ann.page.getByText('Link copied').waitFor()
  const link = await ann.page.evaluate('navigator.clipboard.readText()')
  assert.equal(link, `${chat.page}/#room=games`)

  const ben = await browser.newUser({ ...chat, page: link })
  await ben.signIn(BEN)
  await ben.sees('Who plays?')
})

test('unread messages are counted in other conversations, also after a reload, and a line shows where they begin', async (t) => {
  const chat = await startLocalStack(t)
  const ann = await signedIn(chat, ANN)
  const ben = await apiUser({ apiUrl: chat.api }, BEN)
  await ann.entersRoom('games')
  await ben.sends('Seen', { room: 'games' })
  await ann.sees('Seen')
  await ann.opens('Everyone')
  for (const text of ['One', 'Two', 'Three']) await ben.sends(text, { room: 'games' })
  await ben.sends('In private', { recipient: ANN })
  const counts = async () => {
    await unreadOf(ann, '#games').getByText('3').waitFor()
    await unreadOf(ann, BEN).getByText('1').waitFor()
  }
  await counts()
  await ann.page.reload()
  await ann.isOnline()
  await counts()

  await ann.opens('#games')
  await ann.sees('Three')
  const rows = await ann.log.getByRole('listitem').allInnerTexts()
  const line = rows.findIndex(text => /^(3 )?new$/i.test(text.trim()))
  assert.ok(line > 0 && rows[line - 1].includes('Seen') && rows[line + 1].includes('One'), rows.join('\n'))
  await unreadOf(ann, '#games').waitFor({ state: 'detached' })
})

test('messages of a long absence that cannot be loaded are a line with a button', async (t) => {
  const chat = await startFaultyStack(t)
  const ann = await signedIn(chat, ANN, { allowConsoleErrors: true })
  const ben = await apiUser(chat, BEN)
  await ben.sends('number 0.')
  await ann.sees('number 0.')
  chat.network.cut()
  await ann.isNotOnline()
  // More than the page that continues what is there and the newest one together.
  const texts = Array.from({ length: 200 }, (_, number) => `number ${number}.`)
  for (const text of texts.slice(1)) await ben.sends(text)
  chat.apiProxy.rule = ({ path, query }) => path === '/api/history' && query.includes('before=') ? UNAVAILABLE : undefined
  chat.network.restore()
  await ann.reconnects()
  await ann.sees('number 199.')
  // The beginning cannot be loaded either.
  const line = ann.log.getByText('Some messages could not be loaded.').last()
  await ann.log.focus()
  while (await line.count() === 0) await ann.page.keyboard.press('PageUp')
  chat.apiProxy.rule = () => undefined
  await line.getByRole('button', { name: 'Try again' }).click()
  assert.deepEqual(await ann.allMessages(/number \d+\./, texts.length), texts)
})

test('who is here is shown, and asked for only while it is shown', async (t) => {
  const chat = await startFaultyStack(t)
  const [ann, ben] = [await signedIn(chat, ANN), await signedIn(chat, BEN)]
  const asked = () => chat.apiProxy.requests.filter(request => /^GET .*\/members$/.test(request)).length
  for (const person of [ann, ben]) await person.entersRoom('games')
  assert.equal(asked(), 0)
  await ann.page.getByRole('button', { name: 'Who is here' }).click()
  const people = ann.page.getByRole('list', { name: 'People' })
  await people.getByText(ANN).waitFor()
  await people.getByText(BEN).waitFor()
  assert.ok(asked() > 0)
})

test('older messages are loaded when a person scrolls up, and the list stays where it is', async (t) => {
  const chat = await startFaultyStack(t)
  const ben = await apiUser(chat, BEN)
  const texts = Array.from({ length: 180 }, (_, number) => `number ${number}.`)
  for (const text of texts) await ben.sends(text)
  const ann = await signedIn(chat, ANN)
  await ann.sees('number 179.')
  assert.equal(await ann.count('number 0.'), 0)
  assert.deepEqual(await ann.allMessages(/number \d+\./, 180), texts)
  await ben.sends('the last one')
  await ann.sees('the last one')
})
