// Takes the screenshots of the README and of docs/states/: `npm --prefix tests/e2e run screenshots`, after `make page` and
// `cargo build`. All of them, each in its own size, are in target/screenshots; those of docs are put together and compressed.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launchBrowser, newUser } from './chat-user.mjs'
import { visitStates } from './page-states.mjs'

const ALL = fileURLToPath(new URL('../../target/screenshots/', import.meta.url))
const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url))
const SCHEMES = ['light', 'dark']
const PHONE = { hasTouch: true, isMobile: true }
// The first size of each profile is that of the browser while it goes from state to state.
const PROFILES = [
  { sizes: [[1280, 800], [2560, 1300]], options: {} },
  { sizes: [[390, 844], [320, 568]], options: PHONE },
]
/** The sizes in docs, side by side. */
const IN_DOCS = [1280, 390, 320]

const cleanups = []
const t = { after: cleanup => cleanups.unshift(cleanup) }
const browser = await launchBrowser()
t.after(() => browser.close())
await rm(ALL, { recursive: true, force: true })
await mkdir(ALL, { recursive: true })

const states = []
for (const { sizes, options } of PROFILES) {
  const [[width, height]] = sizes
  const profile = { viewport: { width, height }, ...options }
  await visitStates(t, { newUser: (stack, more) => newUser(browser, stack, more) }, profile, async (state, page) => {
    if (!states.includes(state)) states.push(state)
    for (const [width, height] of sizes) {
      await page.setViewportSize({ width, height })
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: fileOf(state, colorScheme, width), animations: 'disabled' })
      }
    }
    await page.setViewportSize({ width, height })
  })
}

function fileOf(state, scheme, width) {
  return join(ALL, `${state}-${scheme}-${width}.png`)
}

/** Puts the sizes of one state side by side, as WebP. */
async function combine(page, state, scheme) {
  const images = []
  for (const width of IN_DOCS) {
    const png = await readFile(fileOf(state, scheme, width), 'base64').catch(() => undefined)
    if (png !== undefined) images.push(`<img src="data:image/png;base64,${png}">`)
  }
  await page.setContent(`<style>body { margin: 0; width: max-content; display: flex; gap: 24px; align-items: start; background: ${scheme === 'dark' ? '#000' : '#ccc'} }</style>${images.join('')}`)
  await page.evaluate(() => Promise.all([...document.images].map(image => image.decode())))
  const { width, height } = await page.locator('body').boundingBox()
  const session = await page.context().newCDPSession(page)
  const clip = { x: 0, y: 0, width, height, scale: 0.6 }
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 70, clip, captureBeyondViewport: true })
  await writeFile(join(DOCS, 'states', `${state}-${scheme}.webp`), Buffer.from(data, 'base64'))
}

await rm(join(DOCS, 'states'), { recursive: true, force: true })
await mkdir(join(DOCS, 'states'))
const page = await browser.newPage()
for (const state of states) for (const scheme of SCHEMES) await combine(page, state, scheme)
const title = state => state.replaceAll('-', ' ').replace(/^./, first => first.toUpperCase())
const sections = states.map(state => `## ${title(state)}\n\n${SCHEMES.map(scheme => `![${title(state)}, ${scheme}](${state}-${scheme}.webp)`).join('\n')}\n`)
const head = 'Pictures of the page in each state, 1280, 390 and 320 pixels wide, light and dark. `npm --prefix tests/e2e run screenshots` takes them.'
await writeFile(join(DOCS, 'states', 'README.md'), ['# The states of the page\n', `${head}\n`, ...sections].join('\n'))
for (const scheme of SCHEMES) {
  await writeFile(join(DOCS, `chat-${scheme}.png`), await readFile(fileOf('everyone', scheme, 1280)))
}
for (const cleanup of cleanups) await cleanup()
