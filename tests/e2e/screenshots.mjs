// Takes the README's pictures anew: `npm --prefix tests/e2e run pictures`, after `make page` and `cargo build`.

import { fileURLToPath } from 'node:url'
import { stack } from './processes.mjs'
import { launch, open } from './chat-user.mjs'

const cleanups = []
const t = { after: cleanup => cleanups.unshift(cleanup) }
const size = { viewport: { width: 1100, height: 620 } }

const chat = await stack(t)
const browser = await launch()
t.after(() => browser.close())
const someone = async (name, options = {}) => (await open(browser, chat, { ...size, ...options })).signIn(name)

const themes = ['light', 'dark']
const alices = await Promise.all(themes.map(colorScheme => someone('alice@contoso.com', { colorScheme })))
const bob = await someone('bob@contoso.com')
const carol = await someone('carol@fabrikam.com')
const [alice] = alices

await bob.says('Deploy went out. Cold start is down to eight milliseconds.')
await alice.sees('Deploy went out')
await bob.says('The figures are on the wall: https://example.com/wall')
await alice.sees('on the wall')
await carol.says('Good morning, everyone')
await alice.sees('Good morning')
await alice.says('Morning! Who is on for the review at ten?')
await bob.sees('Who is on')
await carol.says('I am')
await bob.log.getByRole('button', { name: 'alice@contoso.com' }).click()
await bob.says('I can stand in for you if you are late.')
for (const [at, theme] of themes.entries()) {
  const { page, conversations } = alices[at]
  await conversations.getByText('I can stand in').waitFor()
  await page.screenshot({ path: fileURLToPath(new URL(`../../docs/chat-${theme}.png`, import.meta.url)) })
}
for (const cleanup of cleanups) await cleanup()
