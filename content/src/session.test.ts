import { afterEach, describe, expect, it, vi } from 'vitest'
import { fetchIdentity, linkOf, pageAddress, parseSignInFragment, parseUser, Session, signInUrl, takeSignInResult } from './session'
import { openTabStorage } from './tabStorage'

const config = { apiBaseUrl: 'https://api.example/base', authProvider: 'aad' }
const fragment = (value: unknown) => `#token=${encodeURIComponent(JSON.stringify(value))}`

describe('the URL fragment of App Service', () => {
  it('contains the token as URL-encoded JSON', () => {
    expect(parseSignInFragment(fragment({ authenticationToken: 'abc+/=.d', user: { userId: 'sid:1' } }))).toEqual({ kind: 'token', token: 'abc+/=.d' })
  })

  it('may contain other parameters', () => {
    expect(parseSignInFragment(`#a=b&${fragment({ authenticationToken: 't' }).slice(1)}&c=d`)).toEqual({ kind: 'token', token: 't' })
  })

  it.each(['', '#', '#about', '#mytoken=1'])('contains no token in %j', (hash) => {
    expect(parseSignInFragment(hash)).toEqual({ kind: 'none' })
  })

  it.each([
    '#token=', '#token=%', '#token=%7B', '#token=null', '#token=%22text%22', fragment({}), fragment({ authenticationToken: '' }),
    fragment({ authenticationToken: 7 }), fragment({ authenticationToken: 'two\nlines' }), fragment({ authenticationToken: 'ünicode' }),
  ])('is invalid as %j', (hash) => {
    expect(parseSignInFragment(hash)).toEqual({ kind: 'invalid' })
  })

  it.each([
    ['/page?x=1', fragment({ authenticationToken: 't' }), undefined, '/page?x=1'],
    ['/page?x=1', '#token=garbage', undefined, '/page?x=1'],
    ['/', fragment({ authenticationToken: 't' }), '?x=1#room=blue', '/?x=1#room=blue'],
    ['/chat/', fragment({ authenticationToken: 't' }), '#top', '/chat/#top'],
    ['/', fragment({ authenticationToken: 't' }), '', '/'],
    ['/?x=1', '#token=garbage', '', '/'],
    ['/?x=1', '#top', '?y=2#room=blue', '/?x=1#top'],
  ])('is replaced in the address bar and the history: %s%s with the link %j', (path, hash, link, expected) => {
    history.replaceState(null, '', path + hash)
    const { length } = history
    takeSignInResult(location, history, link)
    expect(location.pathname + location.search + location.hash).toBe(expected)
    expect(history).toHaveLength(length)
  })
})

describe('the address of the page', () => {
  it.each([
    ['https://page.example', 'https://page.example/', ''],
    ['https://page.example/', 'https://page.example/', ''],
    ['https://page.example/index.html', 'https://page.example/', ''],
    ['https://page.example/index.html?x=1#top', 'https://page.example/', '?x=1#top'],
    ['https://page.example/?x=1', 'https://page.example/', '?x=1'],
    ['https://page.example/?x=/a/b#/c/d', 'https://page.example/', '?x=/a/b#/c/d'],
    ['https://page.example/#room=blue', 'https://page.example/', '#room=blue'],
    ['https://page.example/chat/', 'https://page.example/chat/', ''],
    ['https://page.example/chat/index.html?x=1#top', 'https://page.example/chat/', '?x=1#top'],
    ['https://page.example/a/b/c.html', 'https://page.example/a/b/', ''],
    ['https://page.example/%C3%A4/#ä', 'https://page.example/%C3%A4/', '#%C3%A4'],
    ['http://localhost:5500/index.html', 'http://localhost:5500/', ''],
    ['http://[::1]:5500/index.html#', 'http://[::1]:5500/', ''],
    [`https://page.example/?x=1${fragment({ authenticationToken: 't' })}`, 'https://page.example/', '?x=1'],
  ])('of %s to return to is %s, and the rest is %j', (href, address, link) => {
    expect(pageAddress(new URL(href))).toBe(address)
    expect(linkOf(new URL(href))).toBe(link)
  })
})

it('the sign-in URL has the provider, the session mode and the return URL', () => {
  const url = new URL(signInUrl(config, 'https://page.example/chat/?a=b&c'))
  expect(url.origin + url.pathname).toBe('https://api.example/base/.auth/login/aad')
  expect(Object.fromEntries(url.searchParams)).toEqual({ session_mode: 'token', post_login_redirect_url: 'https://page.example/chat/?a=b&c' })
})

describe('the signed-in user', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it.each([
    [{ userId: 'alice@contoso.com', displayName: 'Alice', provider: 'aad' }, { userId: 'alice@contoso.com', displayName: 'Alice' }],
    [{ userId: 'github:alice', displayName: '' }, { userId: 'github:alice', displayName: 'github:alice' }],
    [{ userId: 'alice', displayName: null }, { userId: 'alice', displayName: 'alice' }],
    [{ userId: 'alice' }, { userId: 'alice', displayName: 'alice' }],
    [{ userId: '' }, undefined],
    [{ userId: 1 }, undefined],
    [{ displayName: 'Alice' }, undefined],
    [[{ user_id: 'alice' }], undefined],
    [null, undefined],
  ])('of %j is %j', (raw, user) => {
    expect(parseUser(raw)).toEqual(user)
  })

  it('is asked for with the token in X-ZUMO-AUTH and without cookies', async () => {
    const get = vi.fn<typeof fetch>(() => Promise.resolve(Response.json({ userId: 'alice', displayName: 'Alice', provider: 'aad' })))
    vi.stubGlobal('fetch', get)
    expect(await fetchIdentity(config, 'tok')).toEqual({ kind: 'user', user: { userId: 'alice', displayName: 'Alice' } })
    const [url, init] = get.mock.calls[0] ?? []
    expect(url).toBe('https://api.example/base/api/me')
    expect(new Headers(init?.headers).get('X-ZUMO-AUTH')).toBe('tok')
    expect(init?.credentials).toBe('omit')
    expect(init?.redirect).toBe('manual')
  })

  const error = (status: number, code: string) => () => Promise.resolve(Response.json({ error: { code, message: 'Sign in again.' } }, { status }))

  it.each([
    ['a 401 means signed out', error(401, 'unauthenticated'), { kind: 'signed-out', nameless: false }],
    ['a 401 without a body means signed out', () => Promise.resolve(new Response('', { status: 401 })), { kind: 'signed-out', nameless: false }],
    ['a lost name means signed out', error(401, 'session_without_name'), { kind: 'signed-out', nameless: true }],
    ['a network error does not mean signed out', () => Promise.reject(new TypeError()), { kind: 'unknown', reason: 'the chat cannot be reached.' }],
    ['a 503 does not mean signed out', error(503, 'unavailable'), { kind: 'unknown', reason: 'the chat is busy or restarting.' }],
    ['a 404 does not mean signed out', error(404, 'not_found'), { kind: 'unknown', reason: 'Sign in again.' }],
    ['a page of a proxy does not mean signed out', () => Promise.resolve(new Response('<html>')), { kind: 'unknown', reason: 'the response did not come from the chat.' }],
    ['an empty list does not mean signed out', () => Promise.resolve(Response.json([])), { kind: 'unknown', reason: 'the response did not come from the chat.' }],
  ])('%s', async (_, answer, identity) => {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(answer))
    expect(await fetchIdentity(config, 'tok')).toEqual(identity)
  })
})

describe('the session of the tab', () => {
  afterEach(() => { sessionStorage.clear() })

  it('is empty at first', () => {
    expect(new Session(openTabStorage()).me).toBeUndefined()
  })

  it('has a user id and a token after a sign-in', () => {
    const session = new Session(openTabStorage())
    session.signIn('tok', { userId: 'alice', displayName: 'Alice' })
    expect(session.me).toEqual({ kind: 'user', userId: 'alice' })
    expect(session.token).toBe('tok')
    expect(session.displayName).toBe('Alice')
  })

  it('shows the user id of a user who was stored without a name', () => {
    sessionStorage.setItem('chat.token', 'tok')
    sessionStorage.setItem('chat.user', 'alice')
    expect(new Session(openTabStorage()).displayName).toBe('alice')
  })

  it('has no token after entering as a guest', () => {
    const session = new Session(openTabStorage())
    session.signIn('tok', { userId: 'alice', displayName: 'Alice' })
    session.enterAsGuest('Zoë')
    expect(session.token).toBeUndefined()
    expect(session.me).toEqual({ kind: 'guest', nickname: 'Zoë' })
    expect(session.displayName).toBe('Zoë')
  })

  it('is empty after clearing', () => {
    const session = new Session(openTabStorage())
    session.enterAsGuest('Zoë')
    session.signIn('tok', { userId: 'alice', displayName: 'Alice' })
    session.clear()
    expect(session.me).toBeUndefined()
    expect(sessionStorage).toHaveLength(0)
  })

  it('expects a token only once, and returns the link from before the sign-in', () => {
    const session = new Session(openTabStorage())
    expect(session.takeSignInStarted()).toBeUndefined()
    for (const link of ['?x=1#top', '']) {
      session.markSignInStarted(link)
      expect(session.takeSignInStarted()).toBe(link)
      expect(session.takeSignInStarted()).toBeUndefined()
    }
  })
})
