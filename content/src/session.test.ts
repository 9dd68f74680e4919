import { afterEach, describe, expect, it, vi } from 'vitest'
import { parseFragment, parseIdentities, Session, signInUrl, takeReturned, whoIs } from './session'
import { tabStore } from './tabStorage'

const config = { apiBaseUrl: 'https://api.example/base', authProvider: 'aad' }
const fragment = (value: unknown) => `#token=${encodeURIComponent(JSON.stringify(value))}`

describe('the fragment that App Service comes back with', () => {
  it('holds the token as URL-encoded JSON', () => {
    expect(parseFragment(fragment({ authenticationToken: 'abc+/=.d', user: { userId: 'sid:1' } }))).toEqual({ kind: 'token', token: 'abc+/=.d' })
  })

  it('may hold other parameters too', () => {
    expect(parseFragment(`#a=b&${fragment({ authenticationToken: 't' }).slice(1)}&c=d`)).toEqual({ kind: 'token', token: 't' })
  })

  it.each(['', '#', '#about', '#mytoken=1'])('brings nothing in %j', (hash) => {
    expect(parseFragment(hash)).toEqual({ kind: 'nothing' })
  })

  it.each([
    '#token=', '#token=%', '#token=%7B', '#token=null', '#token=%22text%22', fragment({}), fragment({ authenticationToken: '' }),
    fragment({ authenticationToken: 7 }), fragment({ authenticationToken: 'two\nlines' }), fragment({ authenticationToken: 'ünicode' }),
  ])('is unusable as %j, and says so instead of throwing', (hash) => {
    expect(parseFragment(hash)).toEqual({ kind: 'unusable' })
  })

  it.each([fragment({ authenticationToken: 't' }), '#token=rubbish'])('leaves the address bar and the history at once: %j', (hash) => {
    history.replaceState(null, '', `/page?x=1${hash}`)
    const { length } = history
    takeReturned(location, history)
    expect(location.pathname + location.search + location.hash).toBe('/page?x=1')
    expect(history).toHaveLength(length)
  })
})

it('signs in with the provider, and asks for a token and the way back', () => {
  const url = new URL(signInUrl(config, 'https://page.example/chat/?a=b&c'))
  expect(url.origin + url.pathname).toBe('https://api.example/base/.auth/login/aad')
  expect(Object.fromEntries(url.searchParams)).toEqual({ session_mode: 'token', post_login_redirect_url: 'https://page.example/chat/?a=b&c' })
})

describe('/.auth/me', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('names the first identity', () => {
    expect(parseIdentities([{ user_id: 'alice@contoso.com', provider_name: 'aad' }, { user_id: 'other' }])).toEqual({ kind: 'user', userId: 'alice@contoso.com' })
  })

  it('knows nobody when the list is empty', () => {
    expect(parseIdentities([])).toEqual({ kind: 'nobody' })
  })

  it.each([null, {}, [null], [{}], [{ user_id: '' }], [{ user_id: 1 }]])('is not understood as %j, which is not signed out', (raw) => {
    expect(parseIdentities(raw)).toEqual({ kind: 'unknown' })
  })

  it('is asked with the token in X-ZUMO-AUTH, and without cookies', async () => {
    const get = vi.fn<typeof fetch>(() => Promise.resolve(Response.json([{ user_id: 'alice' }])))
    vi.stubGlobal('fetch', get)
    expect(await whoIs(config, 'tok')).toEqual({ kind: 'user', userId: 'alice' })
    const [url, init] = get.mock.calls[0] ?? []
    expect(url).toBe('https://api.example/base/.auth/me')
    expect(new Headers(init?.headers).get('X-ZUMO-AUTH')).toBe('tok')
    expect(init?.credentials).toBe('omit')
    expect(init?.redirect).toBe('manual')
  })

  it.each([
    ['a 401 is nobody', () => Promise.resolve(new Response('', { status: 401 })), 'nobody'],
    ['a network that is away is not signed out', () => Promise.reject(new TypeError()), 'unknown'],
    ['a busy platform is not signed out', () => Promise.resolve(new Response('', { status: 503 })), 'unknown'],
  ])('%s', async (_, answer, kind) => {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(answer))
    expect((await whoIs(config, 'tok')).kind).toBe(kind)
  })
})

describe('what the tab remembers', () => {
  afterEach(() => { sessionStorage.clear() })

  it('is nobody at first', () => {
    expect(new Session(tabStore()).me).toBeUndefined()
  })

  it('is a user only with a token', () => {
    const session = new Session(tabStore())
    session.signIn('tok', 'alice')
    expect(session.me).toEqual({ kind: 'user', userId: 'alice' })
    expect(session.token).toBe('tok')
  })

  it('drops the token when somebody comes in as a guest', () => {
    const session = new Session(tabStore())
    session.signIn('tok', 'alice')
    session.enterAs('Zoë')
    expect(session.token).toBeUndefined()
    expect(session.me).toEqual({ kind: 'guest', nickname: 'Zoë' })
  })

  it('forgets everybody on leaving', () => {
    const session = new Session(tabStore())
    session.enterAs('Zoë')
    session.signIn('tok', 'alice')
    session.forget()
    expect(session.me).toBeUndefined()
    expect(sessionStorage).toHaveLength(0)
  })

  it('takes a token as asked for only once', () => {
    const session = new Session(tabStore())
    expect(session.takeExpectation()).toBe(false)
    session.expectToken()
    expect(session.takeExpectation()).toBe(true)
    expect(session.takeExpectation()).toBe(false)
  })
})
