// Takes the screenshots of the README: `npm --prefix tests/e2e run screenshots`, after `make page` and `cargo build`.

import { fileURLToPath } from 'node:url'
import { startLocalStack } from './processes.mjs'
import { launchBrowser, newUser } from './chat-user.mjs'

const cleanups = []
const t = { after: cleanup => cleanups.unshift(cleanup) }
const size = { viewport: { width: 1100, height: 620 } }

const chat = await startLocalStack(t)
const browser = await launchBrowser()
t.after(() => browser.close())
const signedIn = async (name, options = {}) => (await newUser(browser, chat, { ...size, ...options })).signIn(name)

const themes = ['light', 'dark']
const alices = await Promise.all(themes.map(colorScheme => signedIn('alice@contoso.com', { colorScheme })))
const bob = await signedIn('bob@contoso.com')
const carol = await signedIn('carol@fabrikam.com')
const [alice] = alices

await bob.sends('Deploy went out. Cold start is down to eight milliseconds.')
await alice.sees('Deploy went out')
await bob.sends('The figures are on the wall: https://example.com/wall')
await alice.sees('on the wall')
await carol.sends('Good morning, everyone')
await alice.sees('Good morning')
await alice.sends('Morning! Who is on for the review at ten?')
await bob.sees('Who is on')
await carol.sends('I am')
await bob.log.getByRole('button', { name: 'alice@contoso.com' }).click()
await bob.sends('I can stand in for you if you are late.')
for (const [at, theme] of themes.entries()) {
  const { page, conversations } = alices[at]
  await conversations.getByText('I can stand in').waitFor()
  await page.screenshot({ path: fileURLToPath(new URL(`../../docs/chat-${theme}.png`, import.meta.url)) })
}
for (const cleanup of cleanups) await cleanup()
