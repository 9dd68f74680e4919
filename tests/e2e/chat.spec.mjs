// Browser tests of the chat: public and private messages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLocalStack } from './processes.mjs'
import { useBrowser } from './chat-user.mjs'

const browser = useBrowser()
const ALICE = 'alice@contoso.com'
const BOB = 'bob@contoso.com'
const CAROL = 'carol@fabrikam.com'

test('public messages arrive once at every user', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const bob = await (await browser.newUser(chat)).signIn(BOB)

  await alice.sends('Good morning, all')
  await bob.sees('Good morning, all')
  await bob.sends('Good morning, Alice')
  await alice.sees('Good morning, Alice')

  assert.match(await (await bob.sees('Good morning, all')).innerText(), /alice@contoso\.com/)
  await alice.hasSent('Good morning, all')
  for (const person of [alice, bob]) {
    assert.equal(await person.count('Good morning, all'), 1)
    assert.equal(await person.count('Good morning, Alice'), 1)
  }
})

test('a private message is shown to its recipient and its sender only', async (t) => {
  const chat = await startLocalStack(t)
  const [alice, bob, carol] = await Promise.all([ALICE, BOB, CAROL].map(async name => (await browser.newUser(chat)).signIn(name)))

  await alice.sends('Hello, everyone')
  await bob.sees('Hello, everyone')
  // A click on a name opens the private conversation.
  await bob.log.getByRole('button', { name: ALICE }).click()
  await bob.sends('Only for you')
  await bob.sees('Only for you')
  await bob.page.getByText(`Private: you and ${ALICE}`).first().waitFor()

  await alice.opens(BOB)
  await alice.sees('Only for you')
  await alice.page.getByText(`Private: you and ${BOB}`).first().waitFor()
  await alice.sends('And only for you')
  await bob.sees('And only for you')

  // Messages arrive in order, so Carol would have received the private ones before this one.
  await alice.opens('Everyone')
  await alice.sends('To all again')
  await carol.sees('To all again')
  assert.equal(await carol.conversations.getByRole('button', { name: /Private with/ }).count(), 0)
  assert.doesNotMatch(await carol.page.locator('body').innerText(), /nly for you/)
})

test('two tabs of one browser can have different users', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const bob = await alice.openTab(chat)
  await bob.signIn(BOB)
  await bob.sends('From the next tab')
  assert.match(await (await alice.sees('From the next tab')).innerText(), /bob@contoso\.com/)
  await alice.page.reload()
  await alice.isOnline()
  assert.match(await alice.page.locator('header').innerText(), /alice@contoso\.com/)
})

test('a guest is shown as a guest who is not verified, and cannot write privately', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const guest = await (await browser.newUser(chat)).joinAsGuest(BOB)
  await guest.sends('I am Bob, honestly')
  const seen = await alice.sees('I am Bob, honestly')
  assert.match(await seen.innerText(), /bob@contoso\.com\s+guest, not verified/)
  assert.equal(await seen.getByRole('button', { name: BOB }).count(), 0, 'a guest has no private conversation')
  assert.equal(await guest.page.getByRole('button', { name: 'New private message' }).count(), 0)
})

test('a private message can be sent to a user who is offline, and names can contain any characters', async (t) => {
  const chat = await startLocalStack(t)
  const name = 'Zoë / 善子 <b>😀</b>'
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const zoe = await (await browser.newUser(chat)).signIn(name)
  await alice.startsPrivateConversation(name)
  await alice.sends('Found you')
  await zoe.opens(ALICE)
  await zoe.sees('Found you')
  await alice.startsPrivateConversation('offline@example.com')
  await alice.sends('Is anyone there?')
  await alice.hasSent('Is anyone there?')
})

test('each tab of a user shows a private message once, and so does one to oneself', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const secondTab = await (await alice.openTab(chat)).signIn(ALICE)
  const bob = await (await browser.newUser(chat)).signIn(BOB)
  await alice.startsPrivateConversation(BOB)
  await alice.sends('From the first tab')
  await bob.opens(ALICE)
  await bob.sees('From the first tab')
  await secondTab.opens(BOB)
  await secondTab.sees('From the first tab')
  await secondTab.sends('From the second tab')
  for (const person of [alice, bob]) await person.sees('From the second tab')
  await alice.startsPrivateConversation(ALICE)
  await alice.sends('Note to myself')
  await alice.hasSent('Note to myself')
  await secondTab.opens(ALICE)
  await secondTab.sees('Note to myself')

  // Messages arrive in order, so a second copy would have arrived before this one.
  await bob.sends('The last one')
  for (const person of [alice, secondTab]) {
    assert.equal(await person.count('Note to myself'), 1)
    await person.opens(BOB)
    await person.sees('The last one')
    for (const text of ['From the first tab', 'From the second tab']) assert.equal(await person.count(text), 1)
  }
  for (const text of ['From the first tab', 'From the second tab']) assert.equal(await bob.count(text), 1)
})

test('the sender of a private message is told whether its recipient is online', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  await (await browser.newUser(chat)).signIn(BOB)
  await alice.startsPrivateConversation(CAROL)
  await alice.sends('Are you there?')
  await alice.message('Are you there?').getByText('carol@fabrikam.com is not online and will see it later.').waitFor()
  await alice.startsPrivateConversation(BOB)
  await alice.sends('And you?')
  await alice.hasSent('And you?')
  assert.doesNotMatch(await alice.message('And you?').innerText(), /not online/)
})

test('the dialog for a private message offers people who have written, and no guests', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const dora = await (await browser.newUser(chat)).signIn('Dora@Contoso.com')
  const guest = await (await browser.newUser(chat)).joinAsGuest('Zed')
  await dora.sends('From Dora')
  await guest.sends('From Zed')
  await alice.sends('From Alice')
  for (const text of ['From Dora', 'From Zed']) await alice.sees(text)
  await alice.page.getByRole('button', { name: 'New private message' }).click()
  const people = alice.page.getByRole('list', { name: 'People you have seen here' }).getByRole('button')
  await people.first().waitFor()
  assert.deepEqual(await people.locator('bdi').allInnerTexts(), ['Dora@Contoso.com'])
  await alice.page.getByLabel('Sign-in name of the person').fill('dora')
  await people.first().click()
  await alice.sends('Hello, Dora')
  await dora.opens(ALICE)
  await dora.sees('Hello, Dora')
})

test('the composer says why it does not send a text of which nothing is visible', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  await alice.sends('\u200b\u2060')
  await alice.page.getByText('There is nothing visible in this message.').waitFor()
  await alice.sends('one\r\ntwo\u2028three')
  await alice.hasSent('three')
  assert.match(await alice.message('three').innerText(), /one\ntwo\nthree/)
})

test('the messages of a person who sends too fast are kept, and arrive in order', async (t) => {
  const chat = await startLocalStack(t, { ChatMessageRate: '3/1' })
  // The browser logs refused requests as errors.
  const alice = await (await browser.newUser(chat, { allowConsoleErrors: true })).signIn(ALICE)
  const bob = await (await browser.newUser(chat)).signIn(BOB)
  const texts = Array.from({ length: 6 }, (_, n) => `message ${n}`)
  const notice = alice.page.getByText('Sending too fast.').waitFor()
  for (const text of texts) await alice.sends(text)
  await alice.startsPrivateConversation(BOB)
  await alice.sends('In private')
  await notice
  await alice.hasSent('In private')
  await alice.page.getByText('Sending too fast.').waitFor({ state: 'detached' })
  await bob.opens(ALICE)
  await bob.sees('In private')
  await bob.opens('Everyone')
  assert.deepEqual(await bob.message('message').locator('p').allInnerTexts(), texts)
})

test('markup is shown as text, and links open without access to the page', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const bob = await (await browser.newUser(chat)).signIn(BOB)
  const markup = '<img src=x onerror="document.title=1"> javascript:alert(1) https://example.com/a?b=c'
  await alice.sends(markup)
  const seen = await bob.sees('<img src=x')
  assert.equal(await seen.locator('img').count(), 0)
  const link = seen.getByRole('link')
  assert.equal(await link.count(), 1)
  assert.equal(await link.getAttribute('href'), 'https://example.com/a?b=c')
  assert.match(await link.getAttribute('rel'), /noopener/)
})

test('signing out clears the storage of the tab', async (t) => {
  const chat = await startLocalStack(t)
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  await alice.page.getByRole('button', { name: 'Sign out' }).click()
  await alice.page.getByLabel('Nickname').waitFor()
  assert.deepEqual(await alice.page.evaluate(() => [{ ...sessionStorage }, { ...localStorage }]), [{}, {}])
  assert.doesNotMatch(alice.page.url(), /token/)
})

test('the chat works with the keyboard on a narrow phone', async (t) => {
  const chat = await startLocalStack(t)
  const phone = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true }
  const alice = await (await browser.newUser(chat)).signIn(ALICE)
  const bob = await browser.newUser(chat, phone)
  await bob.page.getByLabel('Nickname').focus()
  await bob.page.keyboard.type('Bob')
  await bob.page.keyboard.press('Enter')
  await bob.isOnline()
  await bob.page.getByRole('textbox', { name: 'Message to everyone' }).focus()
  await bob.page.keyboard.type('first line')
  await bob.page.keyboard.press('Shift+Enter')
  await bob.page.keyboard.type('second line')
  await bob.page.keyboard.press('Enter')
  assert.match(await (await alice.sees('second line')).innerText(), /first line\nsecond line/)
  const overflow = await bob.page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  assert.equal(overflow, 0, 'the page scrolls sideways')
})
