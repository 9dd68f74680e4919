import { afterEach, describe, expect, it, vi } from 'vitest'
import { createApp } from 'vue'
import type { App as VueApp } from 'vue'
import App from './App.vue'
import { Session } from './session'
import { openBrowserStorage, openTabStorage } from './tabStorage'

const config = { apiBaseUrl: 'https://api.example', authProvider: 'aad' }
const token = `#token=${encodeURIComponent(JSON.stringify({ authenticationToken: 'tok', user: { userId: 'sid:1' } }))}`
const alice = { userId: 'alice@contoso.com', displayName: 'Alice', provider: 'aad' }
const features = { guests: true, history: false, privateHistory: false, rooms: '*', accessTokens: false }
const error = (status: number, code: string) => Response.json({ error: { code, message: 'A sentence.' } }, { status })
const away = () => { throw new TypeError('network') }

let app: VueApp | undefined

afterEach(() => {
  app?.unmount()
  document.body.replaceChildren()
  sessionStorage.clear()
  history.replaceState(null, '', '/')
})

/** The page at `address`. A call without an answer of its own succeeds. */
function open(address: string, answers: { me?: () => Response, features?: () => Response }) {
  history.replaceState(null, '', address)
  vi.stubGlobal('fetch', async (url: string) => {
    await Promise.resolve()
    const { me = () => Response.json(alice), features: offered = () => Response.json(features) } = answers
    if (url.endsWith('/.auth/me')) return Response.json([{ provider_name: 'aad', user_id: 'zed@contoso.com' }])
    return url.endsWith('/api/me') ? me() : offered()
  })
  const assign = vi.spyOn(location, 'assign').mockReturnValue()
  const root = document.createElement('div')
  document.body.append(root)
  const storage = openTabStorage()
  app = createApp(App, { config, session: new Session(storage), storage, visits: openBrowserStorage() })
  app.mount(root)
  const button = (name: string) => [...root.querySelectorAll('button')].find(({ textContent }) => textContent.includes(name))
  return { root, button, assign }
}

describe('the sign-in screen', () => {
  it.each([
    ['offers to join as a guest where guests may chat', () => Response.json(features), true, ''],
    ['offers only to sign in where they may not', () => Response.json({ ...features, guests: false }), false, ''],
    ['says so if the API cannot be reached', away, false, 'It could not be checked whether guests can join: the chat cannot be reached.'],
    ['says so if the API is restarting', () => error(503, 'unavailable'), false, 'the chat is busy or restarting.'],
    ['offers both where an older API does not say', () => error(404, 'not_found'), true, ''],
    ['says so if something else answers', () => new Response('<html>'), false, 'the response did not come from the chat.'],
  ])('%s', async (_, answer, guests, problem) => {
    const { root, button } = open('/', { features: answer })
    await vi.waitFor(() => { expect(root.textContent).not.toContain('Checking') })
    expect(root.querySelector('input') !== null).toBe(guests)
    expect(root.textContent).toContain(problem)
    expect(button('Sign in with Microsoft')).toBeDefined()
    expect(button('Try again') !== undefined).toBe(problem !== '')
  })

  it('can be tried again', async () => {
    let isAway = true
    const { root, button } = open('/', { features: () => isAway ? error(500, 'not_configured') : Response.json(features) })
    await vi.waitFor(() => { expect(button('Try again')).toBeDefined() })
    isAway = false
    button('Try again')?.click()
    await vi.waitFor(() => { expect(root.querySelector('input')).not.toBeNull() })
  })

  it('leads to the sign-in page with the canonical address, and keeps the rest for later', async () => {
    const { button, assign } = open('/chat/index.html?x=1#room=blue', {})
    await vi.waitFor(() => { expect(button('Sign in with Microsoft')).toBeDefined() })
    button('Sign in with Microsoft')?.click()
    const url = new URL(String(assign.mock.calls[0]?.[0]))
    expect(url.searchParams.get('post_login_redirect_url')).toBe(`${location.origin}/chat/`)
    expect(new Session(openTabStorage()).takeSignInStarted()).toBe('?x=1#room=blue')
  })
})

describe('after a sign-in', () => {
  it.each([
    ['a lost name asks to sign in again', () => error(401, 'session_without_name'), 'Your sign-in came without your name. Please sign in again.'],
    ['an ended session asks to sign in again', () => error(401, 'unauthenticated'), 'Your sign-in is no longer valid. Please sign in again.'],
    ['an API that cannot be reached is not taken for a sign-out', away, 'You are signed in, but your name could not be loaded: the chat cannot be reached.'],
    ['an API that restarts is not taken for a sign-out', () => error(503, 'unavailable'), 'your name could not be loaded: the chat is busy or restarting.'],
    ['a rejected call is not taken for a sign-out', () => error(400, 'bad_request'), 'your name could not be loaded: A sentence.'],
    ['an older API does not say who calls, and App Service knows the name', () => error(404, 'not_found'), 'signs you in as zed@contoso.com'],
    ['a page of a proxy is not taken for a sign-out', () => new Response('<html>'), 'the response did not come from the chat.'],
    ['a sign-in that was not started here is named', () => Response.json(alice), 'signs you in as Alice'],
  ])('%s', async (_, me, text) => {
    const { root, button } = open(`/${token}`, { me })
    await vi.waitFor(() => { expect(root.textContent).toContain(text) })
    expect(location.hash).toBe('')
    expect(button('Try again') !== undefined).toBe(text.includes('could not be loaded') || text.includes('did not come'))
  })

  it('a call that failed can be repeated, and then counts', async () => {
    let isAway = true
    const { root, button } = open(`/${token}`, { me: () => isAway ? away() : error(401, 'session_without_name') })
    await vi.waitFor(() => { expect(button('Try again')).toBeDefined() })
    isAway = false
    button('Try again')?.click()
    await vi.waitFor(() => { expect(root.textContent).toContain('without your name') })
  })

  it('the link from before it is restored', async () => {
    new Session(openTabStorage()).markSignInStarted('?x=1#room=blue')
    const { root } = open(`/chat/${token}`, { me: away })
    await vi.waitFor(() => { expect(root.textContent).toContain('could not be loaded') })
    expect(location.pathname + location.search + location.hash).toBe('/chat/?x=1#room=blue')
  })
})

describe('a page that comes back from the back/forward cache', () => {
  it.each([
    ['goes on if it is that of the person of this tab', 'Zed', false],
    ['is loaded again if another person has signed in since', 'Yan', true],
    ['is loaded again if the person has left', undefined, true],
  ])('%s', async (_, nickname, expected) => {
    new Session(openTabStorage()).enterAsGuest('Zed')
    const { root } = open('/', {})
    const reload = vi.spyOn(location, 'reload').mockReturnValue()
    await vi.waitFor(() => { expect(root.querySelector('[role=log]')).not.toBeNull() })
    new Session(openTabStorage()).clear()
    if (nickname !== undefined) new Session(openTabStorage()).enterAsGuest(nickname)
    const show = (persisted: boolean) => window.dispatchEvent(Object.defineProperty(new Event('pageshow'), 'persisted', { value: persisted }))
    show(false)
    expect(reload).not.toHaveBeenCalled()
    show(true)
    expect(reload.mock.calls.length > 0).toBe(expected)
  })
})
