// Brings the page into each of its states, for screenshots and for checks of accessibility.

import { NOT_FOUND, UNAVAILABLE } from './api-proxy.mjs'
import { apiUser } from './api-user.mjs'
import { startFaultyStack } from './faulty-stack.mjs'

const ANN = 'ann@contoso.com'
const BEN = 'ben@contoso.com'
const CARA = 'cara@fabrikam.com'
// The browser logs failed requests as errors.
const WITH_ERRORS = { allowConsoleErrors: true }

/** Visits all states in the order of a person's day: `visit(state, page)` is awaited in each. `options` are those of a browser profile. */
export async function visitStates(t, browser, options, visit) {
  const isPhone = options.viewport.width <= 720
  const chat = await startFaultyStack(t)
  const ann = await browser.newUser(chat, { ...WITH_ERRORS, ...options })
  const { page } = ann
  const state = name => visit(name, page)
  const button = name => page.getByRole('button', { name })
  const closeDialog = () => page.keyboard.press('Escape')

  await button(/^Sign in/).waitFor()
  await page.getByLabel('Nickname').waitFor()
  await state('sign-in')
  await ann.signIn(ANN)
  await ann.page.getByText(/No messages/).first().waitFor()
  await state('empty')

  const [ben, cara, guest] = [await apiUser(chat, BEN), await apiUser(chat, CARA), await apiUser(chat, undefined, 'Gus')]
  await ben.sends('The deployment went out. Starting now takes eight milliseconds.')
  await ben.sends('The figures are here: https://example.com/figures')
  await cara.sends('Good morning, everyone')
  await guest.sends('Is this where the release party is planned?')
  await ann.sees('release party')
  await ann.sends('Morning! Who joins the review at ten?')
  await ann.hasSent('Morning!')
  await ann.sends('We have the large room until noon, so there is time to look at all the open questions from last week together.')
  await ann.hasSent('large room')
  await cara.sends('I do')
  await cara.removes(await cara.sends('…and I wrote this in the wrong place'))
  await ann.sees('Message removed')
  await ben.sends('I can stand in for you if you are late.', { recipient: ANN })
  for (const text of ['Anyone for chess tonight?', 'I bring the board']) await cara.sends(text, { room: 'games' })
  await ann.sees('I do')
  await (isPhone ? button(/1 unread in private/) : ann.conversations.getByText('I can stand in')).waitFor()
  await state('everyone')

  if (isPhone) {
    await ann.showsConversations()
    await state('conversations')
    await closeDialog()
  }
  await ann.opens(BEN)
  await ann.sees('stand in')
  await ann.sends('Thank you! That would be a great help.')
  await ann.hasSent('great help')
  await state('private')

  await button('More actions').click()
  await page.getByRole('menu').waitFor()
  await state('menu')
  await page.getByRole('menuitem', { name: /^Erase/ }).click()
  await page.getByRole('alertdialog').waitFor()
  await state('erase-question')
  await ann.confirms('Cancel')

  await ann.showsConversations()
  await button('New private message').click()
  await page.getByLabel('Sign-in name of the person').waitFor()
  await state('new-private-message')
  await closeDialog()
  await ann.showsConversations()
  await button('Enter a room').click()
  await page.getByRole('dialog', { name: 'Enter a room' }).getByRole('button', { name: '#games' }).waitFor()
  await state('enter-a-room')
  await page.getByRole('dialog', { name: 'Enter a room' }).getByRole('button', { name: '#games' }).click()
  await ann.sees('I bring the board')
  await ann.sends('I am in')
  await ann.hasSent('I am in')
  await state('room')
  await button('Who is here').click()
  await page.getByRole('list', { name: 'People' }).getByText(ANN).waitFor()
  await state('who-is-here')
  if (isPhone) await closeDialog()
  else await button('Who is here').click()

  await ann.opens('Everyone')
  await ann.showsActions('large room')
  await ann.message('large room').getByRole('button', { name: 'Remove message' }).click()
  await page.getByRole('alertdialog').waitFor()
  await state('remove-question')
  await ann.confirms('Cancel')

  for (let number = 1; number <= 60; number += 1) await ben.sends(`Measurement ${number}: nothing unusual.`)
  await ann.sees('Measurement 60')
  await ann.log.evaluate((log) => { log.scrollTop = log.scrollHeight / 2 })
  await cara.sends('Lunch?')
  await button(/1 new/).waitFor()
  await state('scrolled-up')
  await button(/1 new/).click()

  chat.apiProxy.rule = () => UNAVAILABLE
  await ann.sends('On my way')
  await ann.status.getByText('Cannot send').waitFor()
  await state('cannot-send')
  await page.getByRole('button', { name: 'Sign out' }).or(button(/^Conversations/)).first().waitFor()
  await ann.showsConversations()
  await button('Sign out').click()
  await page.getByRole('alertdialog').waitFor()
  await state('sign-out-question')
  await ann.confirms('Cancel')
  if (isPhone) await closeDialog()
  chat.apiProxy.rule = () => undefined
  await ann.hasSent('On my way')

  await page.context().setOffline(true)
  await ann.status.getByText('Offline').waitFor()
  await state('offline')
  await page.context().setOffline(false)
  await ann.reconnects()

  chat.network.cut()
  await page.reload()
  await page.locator('main').getByText(/Not connected yet|Still connecting/).first().waitFor()
  await state('not-connected-yet')
  chat.network.restore()
  await ann.reconnects()

  chat.apiProxy.rule = ({ method, path }) => method !== 'OPTIONS' && path.startsWith('/api/history') ? UNAVAILABLE : undefined
  await page.reload()
  await ann.isOnline()
  await page.getByText(/could not be loaded/).first().waitFor()
  await state('history-not-loaded')

  chat.apiProxy.rule = () => undefined
  await page.getByRole('button', { name: 'Try again' }).click()
  await ann.sees('On my way')

  chat.network.cut()
  await ann.isNotOnline()
  // More than a few checks read.
  await Promise.all(Array.from({ length: 500 }, (_, number) => ben.sends(`Night shift ${number}: all quiet.`)))
  await ben.sends('The night is over.')
  chat.apiProxy.rule = ({ path, query }) => path === '/api/history' && query.includes('before=') ? UNAVAILABLE : undefined
  chat.network.restore()
  await ann.reconnects()
  await ann.sees('The night is over.')
  chat.apiProxy.rule = ({ path }) => path === '/api/history' ? UNAVAILABLE : undefined
  await ann.log.focus()
  const hole = ann.log.getByText(/Loading messages|Some messages could not be loaded/).last()
  while (await hole.count() === 0) await page.keyboard.press('PageUp')
  await hole.scrollIntoViewIfNeeded()
  await ann.log.getByText('Some messages could not be loaded').waitFor()
  await state('hole')

  await ann.showsConversations()
  await page.getByRole('link', { name: 'Access token' }).click()
  await page.getByRole('heading', { name: 'Access token' }).waitFor()
  await state('access-token')
  await page.getByRole('link', { name: 'Back to the chat' }).click()
  await ann.isOnline()

  chat.apiProxy.rule = ({ method }) => method === 'OPTIONS' ? undefined : { status: 401 }
  await ann.sends('Still there?')
  await page.getByRole('alert').getByText('You have been signed out').waitFor()
  await state('signed-out')

  await visitTutorialState(chat, browser, options, visit)
  await visitConfigErrors(chat, browser, options, visit)
}

/** The chat with a handler that has only `negotiate` and `messages`. */
async function visitTutorialState(chat, browser, options, visit) {
  chat.apiProxy.rule = ({ method, path }) => method === 'OPTIONS' || ['/api/negotiate', '/api/messages'].includes(path) ? undefined : NOT_FOUND
  const guest = await (await browser.newUser(chat, { ...WITH_ERRORS, ...options })).joinAsGuest('Gus')
  await guest.sends('Hello from a guest')
  await guest.hasSent('Hello from a guest')
  await visit('tutorial-handler', guest.page)
}

/** A page whose `config.json` has mistakes. */
async function visitConfigErrors(chat, browser, options, visit) {
  const { page } = await browser.newUser({ ...chat, pageApi: 'ftp://wrong' }, { ...WITH_ERRORS, ...options })
  await page.getByText('apiBaseUrl').first().waitFor()
  await visit('config-errors', page)
}
