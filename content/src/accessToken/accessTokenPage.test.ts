import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp, h, nextTick } from 'vue'
import AccessTokenPage from './AccessTokenPage.vue'

const SECRET = 'header.payload.signature'
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()
const payload = (more = {}) => ({ token: SECRET, expiresOn: inAnHour(), user: { communicationUserId: '8:acs:r_u' }, ...more })

/** The page with an API that returns `respond()` for every call. */
function setUp(respond: () => Response) {
  vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(respond())))
  const onSessionEnded = vi.fn()
  const onClose = vi.fn()
  const root = document.createElement('div')
  document.body.append(root)
  const app = createApp({ render: () => h(AccessTokenPage, { api: { baseUrl: 'https://api.example', token: 'tok' }, onSessionEnded, onClose }) })
  app.mount(root)
  const button = (name: string) => [...root.querySelectorAll('button')].find(({ textContent }) => textContent === name)
  const press = async (name: string) => {
    const found = button(name)
    if (found === undefined) throw new Error(`there is no button ${name} in: ${root.textContent}`)
    found.click()
    await settle()
  }
  return { root, button, press, onSessionEnded, onClose, leave: () => { app.unmount() } }
}

const settle = async () => {
  await vi.advanceTimersByTimeAsync(0)
  await nextTick()
}

const copying = (writeText: (text: string) => Promise<void>) => {
  vi.spyOn(navigator.clipboard, 'writeText').mockImplementation(writeText)
}

describe('the page with the access token', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    document.body.replaceChildren()
  })

  it('sends no request when it opens', async () => {
    setUp(() => Response.json(payload()))
    await settle()
    expect(document.activeElement?.textContent).toBe('Access token')
    expect(fetch).not.toHaveBeenCalled()
  })

  it('leads back to the chat', async () => {
    const { root, onClose } = setUp(() => Response.json(payload()))
    root.querySelector('a')?.click()
    await settle()
    expect(onClose).toHaveBeenCalledOnce()
  })

  it('shows what a token allows, and the token itself only on request', async () => {
    const { root, press } = setUp(() => Response.json(payload({ scopes: ['voip.join', 'video.new'] })))
    await press('Get a token')
    expect(root.textContent).toContain('Join ongoing calls')
    expect(root.textContent).toContain('video.new')
    expect(root.textContent).toContain('8:acs:r_u')
    expect(root.textContent).toMatch(/in (1\shour|59\sminutes)/)
    expect(document.documentElement.outerHTML).not.toContain(SECRET)

    await press('Show')
    const field = root.querySelector('textarea')
    expect([field?.value, field?.readOnly]).toEqual([SECRET, true])
    await press('Hide')
    expect(root.querySelector('textarea')).toBeNull()
  })

  it('hides a new token, even if it is the same', async () => {
    const { root, press } = setUp(() => Response.json(payload()))
    await press('Get a token')
    await press('Show')
    await press('Get a new token')
    expect(root.querySelector('textarea')).toBeNull()
  })

  it('shows no scopes if the API does not report them', async () => {
    const { root, press } = setUp(() => Response.json(payload()))
    await press('Get a token')
    expect(root.textContent).not.toContain('What it allows')
  })

  it('puts the token in no storage, address, title or console', async () => {
    const stored = vi.spyOn(Storage.prototype, 'setItem')
    const logged = (['log', 'info', 'warn', 'error', 'debug'] as const).map(kind => vi.spyOn(console, kind))
    const { press } = setUp(() => Response.json(payload()))
    await press('Get a token')
    await press('Show')
    expect([location.href, document.title, document.cookie].join(' ')).not.toContain(SECRET)
    for (const call of [stored, ...logged]) expect(call).not.toHaveBeenCalled()
  })

  it('copies the token, or says how to copy it by hand', async () => {
    const { root, press } = setUp(() => Response.json(payload()))
    await press('Get a token')
    const copied: string[] = []
    copying((text) => {
      copied.push(text)
      return Promise.resolve()
    })
    await press('Copy')
    expect(copied).toEqual([SECRET])
    expect(root.textContent).toContain('Copied.')
    copying(() => Promise.reject(new DOMException('no', 'NotAllowedError')))
    await press('Copy')
    expect(root.textContent).toContain('copy it by hand')
  })

  it('leaves neither token nor timer behind when it is left', async () => {
    const { press, leave } = setUp(() => Response.json(payload()))
    await press('Get a token')
    expect(vi.getTimerCount()).toBe(1)
    await press('Show')
    leave()
    expect(document.documentElement.outerHTML).not.toContain(SECRET)
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    [404, 'not_found', {}, 'This chat does not offer access tokens.'],
    [429, 'rate_limited', { 'Retry-After': '6' }, 'Please try again in 6\u00a0seconds.'],
    [503, 'unavailable', {}, 'busy or restarting'],
    [502, 'upstream_rejected', {}, 'That did not work: What to do.'],
  ])('shows a text for status %i', async (status, code, headers: HeadersInit, text) => {
    const { root, press } = setUp(() => Response.json({ error: { code, message: 'What to do.' } }, { status, headers }))
    await press('Get a token')
    expect(root.querySelector('[role="status"]')?.textContent).toContain(text)
  })

  it('emits that the session has ended', async () => {
    const { press, onSessionEnded } = setUp(() => Response.json({ error: { code: 'unauthenticated', message: 'Sign in.' } }, { status: 401 }))
    await press('Revoke all')
    expect(onSessionEnded).toHaveBeenCalledOnce()
  })
})
