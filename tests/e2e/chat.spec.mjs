// What the chat is for: people who talk, in public and in private.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stack } from './processes.mjs'
import { browserOfThisFile } from './chat-user.mjs'

const browser = browserOfThisFile()
const ALICE = 'alice@contoso.com'
const BOB = 'bob@contoso.com'
const CAROL = 'carol@fabrikam.com'

test('two people see what each of them says to everyone, once', async (t) => {
  const chat = await stack(t)
  const alice = await (await browser.person(chat)).signIn(ALICE)
  const bob = await (await browser.person(chat)).signIn(BOB)

  await alice.says('Good morning, all')
  await bob.sees('Good morning, all')
  await bob.says('Good morning, Alice')
  await alice.sees('Good morning, Alice')

  assert.match(await (await bob.sees('Good morning, all')).innerText(), /alice@contoso\.com/)
  await alice.hasSent('Good morning, all')
  for (const person of [alice, bob]) {
    assert.equal(await person.count('Good morning, all'), 1)
    assert.equal(await person.count('Good morning, Alice'), 1)
  }
})

test('a private message reaches its recipient, its sender keeps a copy, and a third person sees nothing of it', async (t) => {
  const chat = await stack(t)
  const [alice, bob, carol] = await Promise.all([ALICE, BOB, CAROL].map(async name => (await browser.person(chat)).signIn(name)))

  await alice.says('Hello, everyone')
  await bob.sees('Hello, everyone')
  // Choosing a name in the history is how one begins.
  await bob.log.getByRole('button', { name: ALICE }).click()
  await bob.says('Only for you')
  assert.match(await (await bob.sees('Only for you')).innerText(), /private/i)

  await alice.opens(BOB)
  assert.match(await (await alice.sees('Only for you')).innerText(), /private, only you see this/i)
  await alice.says('And only for you')
  await bob.sees('And only for you')

  // What comes after it has arrived at Carol's, so what came before would have too.
  await alice.opens('Everyone')
  await alice.says('To all again')
  await carol.sees('To all again')
  assert.equal(await carol.conversations.getByRole('button', { name: /Private with/ }).count(), 0)
  assert.doesNotMatch(await carol.page.locator('body').innerText(), /nly for you/)
})

test('two tabs of one browser are two people', async (t) => {
  const chat = await stack(t)
  const alice = await (await browser.person(chat)).signIn(ALICE)
  const bob = await alice.besides(chat)
  await bob.signIn(BOB)
  await bob.says('From the next tab')
  assert.match(await (await alice.sees('From the next tab')).innerText(), /bob@contoso\.com/)
  await alice.page.reload()
  await alice.isLive()
  assert.match(await alice.page.locator('header').innerText(), /alice@contoso\.com/)
})

test('a guest chooses a nickname, is shown as not verified, and cannot write privately', async (t) => {
  const chat = await stack(t)
  const alice = await (await browser.person(chat)).signIn(ALICE)
  const guest = await (await browser.person(chat)).comeIn(BOB)
  await guest.says('I am Bob, honestly')
  const seen = await alice.sees('I am Bob, honestly')
  assert.match(await seen.innerText(), /not verified/)
  assert.equal(await seen.getByRole('button', { name: BOB }).count(), 0, 'a guest has no private thread')
  assert.equal(await guest.page.getByRole('button', { name: 'New private message' }).count(), 0)
})

test('somebody nobody has heard of can be written to, and names from anywhere are fine', async (t) => {
  const chat = await stack(t)
  const name = 'Zoë / 善子 <b>😀</b>'
  const alice = await (await browser.person(chat)).signIn(ALICE)
  const zoe = await (await browser.person(chat)).signIn(name)
  await alice.writesPrivatelyTo(name)
  await alice.says('Found you')
  await zoe.opens(ALICE)
  await zoe.sees('Found you')
  await alice.writesPrivatelyTo('nobody@nowhere.example')
  await alice.says('Is anyone there?')
  await alice.hasSent('Is anyone there?')
})

test('text is text: markup is shown, links lead out safely, and nothing runs', async (t) => {
  const chat = await stack(t)
  const alice = await (await browser.person(chat)).signIn(ALICE)
  const bob = await (await browser.person(chat)).signIn(BOB)
  const nasty = '<img src=x onerror="document.title=1"> javascript:alert(1) https://example.com/a?b=c'
  await alice.says(nasty)
  const seen = await bob.sees('<img src=x')
  assert.equal(await seen.locator('img').count(), 0)
  const link = seen.getByRole('link')
  assert.equal(await link.count(), 1)
  assert.equal(await link.getAttribute('href'), 'https://example.com/a?b=c')
  assert.match(await link.getAttribute('rel'), /noopener/)
})

test('signing out leaves nothing behind in the tab', async (t) => {
  const chat = await stack(t)
  const alice = await (await browser.person(chat)).signIn(ALICE)
  await alice.page.getByRole('button', { name: 'Sign out' }).click()
  await alice.page.getByLabel('Nickname').waitFor()
  assert.equal(await alice.page.evaluate('sessionStorage.length + localStorage.length'), 0)
  assert.doesNotMatch(alice.page.url(), /token/)
})

test('it works from the keyboard alone on a narrow phone', async (t) => {
  const chat = await stack(t)
  const phone = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true }
  const alice = await (await browser.person(chat)).signIn(ALICE)
  const bob = await browser.person(chat, phone)
  await bob.page.getByLabel('Nickname').focus()
  await bob.page.keyboard.type('Bob')
  await bob.page.keyboard.press('Enter')
  await bob.isLive()
  await bob.page.getByRole('textbox', { name: 'Message to everyone' }).focus()
  await bob.page.keyboard.type('first line')
  await bob.page.keyboard.press('Shift+Enter')
  await bob.page.keyboard.type('second line')
  await bob.page.keyboard.press('Enter')
  assert.match(await (await alice.sees('second line')).innerText(), /first line\nsecond line/)
  const overflow = await bob.page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  assert.equal(overflow, 0, 'the page scrolls sideways')
})
