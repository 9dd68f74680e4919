import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp, h, nextTick } from 'vue'
import DeveloperPanel from './DeveloperPanel.vue'

const SECRET = 'header.payload.signature'
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()
const wire = (more = {}) => ({ token: SECRET, expiresOn: inAnHour(), user: { communicationUserId: '8:acs:r_u' }, ...more })

/** The panel, over an API that answers every call with `answer`. */
function house(answer: () => Response) {
  vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(answer())))
  const onSessionEnded = vi.fn()
  const place = document.createElement('div')
  document.body.append(place)
  const app = createApp({ render: () => h(DeveloperPanel, { api: { baseUrl: 'https://api.example', token: 'tok' }, onSessionEnded }) })
  app.mount(place)
  const button = (name: string) => [...place.querySelectorAll('button')].find(({ textContent }) => textContent === name)
  const press = async (name: string) => {
    const found = button(name)
    if (found === undefined) throw new Error(`there is no button ${name} in: ${place.textContent}`)
    found.click()
    await settled()
  }
  return { place, button, press, onSessionEnded, leave: () => { app.unmount() } }
}

const settled = async () => {
  await vi.advanceTimersByTimeAsync(0)
  await nextTick()
}

const copying = (writeText: (text: string) => Promise<void>) => {
  vi.spyOn(navigator.clipboard, 'writeText').mockImplementation(writeText)
}

describe('the panel for developers', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    document.body.replaceChildren()
  })

  it('asks for nothing until somebody does', async () => {
    const { press, button } = house(() => Response.json(wire()))
    expect(button('Developer')?.getAttribute('aria-expanded')).toBe('false')
    await press('Developer')
    expect(button('Developer')?.getAttribute('aria-expanded')).toBe('true')
    expect(document.activeElement?.textContent).toBe('Access token')
    expect(fetch).not.toHaveBeenCalled()
  })

  it('shows what a token is good for, and the token itself only when asked to', async () => {
    const { place, press } = house(() => Response.json(wire({ scopes: ['voip.join', 'video.new'] })))
    await press('Developer')
    await press('Get a token')
    expect(place.textContent).toContain('Join calls that are going on')
    expect(place.textContent).toContain('video.new')
    expect(place.textContent).toContain('8:acs:r_u')
    expect(place.textContent).toMatch(/in (1\shour|59\sminutes)/)
    expect(document.documentElement.outerHTML).not.toContain(SECRET)

    await press('Show')
    const field = place.querySelector('textarea')
    expect([field?.value, field?.readOnly]).toEqual([SECRET, true])
    await press('Hide')
    expect(place.querySelector('textarea')).toBeNull()
  })

  it('hides a new token again, also one that is the same', async () => {
    const { place, press } = house(() => Response.json(wire()))
    await press('Developer')
    await press('Get a token')
    await press('Show')
    await press('Get a new token')
    expect(place.querySelector('textarea')).toBeNull()
  })

  it('is silent about scopes where the API does not tell them', async () => {
    const { place, press } = house(() => Response.json(wire()))
    await press('Developer')
    await press('Get a token')
    expect(place.textContent).not.toContain('What it allows')
  })

  it('puts the token nowhere: no store, no address, no title, no console', async () => {
    const stored = vi.spyOn(Storage.prototype, 'setItem')
    const said = (['log', 'info', 'warn', 'error', 'debug'] as const).map(kind => vi.spyOn(console, kind))
    const { press } = house(() => Response.json(wire()))
    await press('Developer')
    await press('Get a token')
    await press('Show')
    expect([location.href, document.title, document.cookie].join(' ')).not.toContain(SECRET)
    for (const call of [stored, ...said]) expect(call).not.toHaveBeenCalled()
  })

  it('copies the token, or says how to without', async () => {
    const { place, press } = house(() => Response.json(wire()))
    await press('Developer')
    await press('Get a token')
    const copied: string[] = []
    copying((text) => {
      copied.push(text)
      return Promise.resolve()
    })
    await press('Copy')
    expect(copied).toEqual([SECRET])
    expect(place.textContent).toContain('Copied.')
    copying(() => Promise.reject(new DOMException('no', 'NotAllowedError')))
    await press('Copy')
    expect(place.textContent).toContain('copy it by hand')
  })

  it('forgets the token when it is closed, by Escape too', async () => {
    const { place, press, button } = house(() => Response.json(wire()))
    await press('Developer')
    await press('Get a token')
    place.querySelector('h2')?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))
    await settled()
    expect(place.querySelector('section')).toBeNull()
    expect(document.activeElement).toBe(button('Developer'))
    await press('Developer')
    expect(button('Get a token')).toBeDefined()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('leaves no timer behind when its chat is left', async () => {
    const { press, leave } = house(() => Response.json(wire()))
    await press('Developer')
    await press('Get a token')
    expect(vi.getTimerCount()).toBe(1)
    leave()
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    [404, 'not_found', {}, 'This chat gives out no such tokens.'],
    [429, 'throttled', { 'Retry-After': '6' }, 'Please try again in 6\u00a0seconds.'],
    [503, 'unavailable', {}, 'busy or restarting'],
    [502, 'upstream_rejected', {}, 'That did not work: What to do.'],
  ])('says in words what a %i means', async (status, code, headers: HeadersInit, words) => {
    const { place, press } = house(() => Response.json({ error: { code, message: 'What to do.' } }, { status, headers }))
    await press('Developer')
    await press('Get a token')
    expect(place.querySelector('[role="status"]')?.textContent).toContain(words)
  })

  it('tells the chat that the session has ended', async () => {
    const { press, onSessionEnded } = house(() => Response.json({ error: { code: 'unauthenticated', message: 'Sign in.' } }, { status: 401 }))
    await press('Developer')
    await press('Revoke all')
    expect(onSessionEnded).toHaveBeenCalledOnce()
  })
})
