import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { callApi, createApi } from './chat/api'
import { Session } from './session'
import { parseTokenTimes, renewalDelay, SessionRenewal } from './sessionRenewal'
import { openTabStorage } from './tabStorage'

const HOUR = 3_600_000
const config = { apiBaseUrl: 'https://api.example', authProvider: 'aad' }
const NOW = Date.parse('2026-11-22T04:00:00Z')

/** A token like that of App Service, which says when it was issued and when it expires. */
function tokenOf(issuedAt: number, lifetime = 8 * HOUR, name = 'ä?>'): string {
  const json = JSON.stringify({ sub: 'sid:1', name, iat: issuedAt / 1000, exp: (issuedAt + lifetime) / 1000 })
  const payload = btoa(String.fromCharCode(...new TextEncoder().encode(json)))
  return `h.${payload.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.s`
}

interface AppService {
  /** How long a session lasts. */
  lifetime: number
  /** Who the API says the caller is, or the status of its failure. */
  user: string | number
  /** The status of `/.auth/refresh`. */
  status: number
}

/** A signed-in tab, and an App Service that is controlled by the test. Its clock is that of the test, and `skew` that of the device. */
function setUp(token: string, skew = 0) {
  const service: AppService = { lifetime: 8 * HOUR, user: 'alice', status: 200 }
  const refreshed: string[] = []
  vi.stubGlobal('fetch', vi.fn<typeof fetch>((url, init) => {
    const sent = new Headers(init?.headers).get('X-ZUMO-AUTH') ?? ''
    const now = Date.now() - skew
    switch (new Request(url).url) {
      case 'https://api.example/.auth/refresh': {
        refreshed.push(sent)
        if (service.status !== 200) return Promise.resolve(new Response('', { status: service.status }))
        return Promise.resolve(Response.json({ authenticationToken: tokenOf(now, service.lifetime), user: { userId: 'sid:1' } }))
      }
      case 'https://api.example/api/me': {
        if (typeof service.user === 'number') return Promise.resolve(new Response('', { status: service.user }))
        return Promise.resolve(Response.json({ userId: service.user, displayName: service.user }))
      }
      default:
        return Promise.resolve(new Response(sent, { status: (parseTokenTimes(sent)?.expiresAt ?? Infinity) > now ? 200 : 401 }))
    }
  }))
  const session = new Session(openTabStorage())
  session.signIn(token, { userId: 'alice', displayName: 'Alice' })
  const onEnded = vi.fn()
  const renewal = new SessionRenewal(token, 'alice', { config, session, onEnded })
  const api = createApi(config.apiBaseUrl, renewal, { begin: () => () => undefined })
  return { renewal, session, service, refreshed, onEnded, call: () => callApi(api, 'https://api.example/api/messages', { method: 'POST' }) }
}

describe('the times of a token', () => {
  it('are read from a JWT, and from nothing else', () => {
    expect(parseTokenTimes(tokenOf(NOW))).toEqual({ issuedAt: NOW, expiresAt: NOW + 8 * HOUR })
    for (const opaque of ['', 'opaque', 'a.b.c', 'a..c', `h.${btoa('{}')}.s`, `h.${btoa('{"exp":"soon"}')}.s`, `h.${btoa('null')}.s`]) {
      expect(parseTokenTimes(opaque)).toBeUndefined()
    }
    expect(parseTokenTimes(`h.${btoa('{"exp":60}')}.s`)).toEqual({ issuedAt: undefined, expiresAt: 60_000 })
  })

  it.each([
    ['a stored token at three quarters of its lifetime', { issuedAt: NOW - HOUR, expiresAt: NOW + 7 * HOUR }, false, 5 * HOUR],
    ['a stored token past that at once', { issuedAt: NOW - 9 * HOUR, expiresAt: NOW - HOUR }, false, 0],
    ['a new token by its lifetime, if the clock is wrong', { issuedAt: NOW - 9 * HOUR, expiresAt: NOW - HOUR }, true, 6 * HOUR],
    ['a token without a time of issue by what is left', { issuedAt: undefined, expiresAt: NOW + 8 * HOUR }, false, 6 * HOUR],
    ['and, if the clock is wrong, after an hour', { issuedAt: undefined, expiresAt: NOW - HOUR }, true, HOUR],
    ['an opaque token after an hour', undefined, true, HOUR],
  ])('decide when to renew: %s', (_, times, isNew, delay) => {
    expect(renewalDelay(times, NOW, isNew)).toBe(delay)
  })
})

describe('the renewal of the session', () => {
  beforeEach(() => { vi.useFakeTimers({ now: NOW }) })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    sessionStorage.clear()
  })

  it('comes before the end, again and again, and the tab keeps the new token', async () => {
    const { renewal, session, refreshed, call } = setUp(tokenOf(NOW))
    await vi.advanceTimersByTimeAsync(6 * HOUR)
    expect(refreshed).toEqual([tokenOf(NOW)])
    expect(renewal.token).toBe(tokenOf(NOW + 6 * HOUR))
    expect(session.token).toBe(renewal.token)
    await vi.advanceTimersByTimeAsync(48 * HOUR)
    expect(refreshed).toHaveLength(9)
    expect(await call()).toMatchObject({ kind: 'ok' })
  })

  it('comes before any call when the page comes back after the end', async () => {
    const { renewal, refreshed, call } = setUp(tokenOf(NOW))
    vi.setSystemTime(NOW + 20 * HOUR)
    renewal.check()
    const [first, second] = await Promise.all([call(), call()])
    expect(refreshed).toHaveLength(1)
    expect([first, second]).toEqual([{ kind: 'ok', text: tokenOf(NOW + 20 * HOUR) }, { kind: 'ok', text: tokenOf(NOW + 20 * HOUR) }])
  })

  it('comes once for several calls that are refused, and they are made again', async () => {
    // The clock of this device is behind, so the page does not see that the session has ended.
    const { refreshed, call } = setUp(tokenOf(NOW), -20 * HOUR)
    const results = await Promise.all([call(), call(), call()])
    expect(results.map(({ kind }) => kind)).toEqual(['ok', 'ok', 'ok'])
    expect(refreshed).toHaveLength(1)
  })

  it('does not come again and again if the clock of the device is ahead', async () => {
    const { refreshed } = setUp(tokenOf(NOW - 20 * HOUR), 20 * HOUR)
    await vi.advanceTimersByTimeAsync(5 * HOUR)
    expect(refreshed).toHaveLength(1)
  })

  it('is tried again while App Service cannot be reached', async () => {
    const { renewal, service, refreshed } = setUp(tokenOf(NOW))
    service.status = 503
    await vi.advanceTimersByTimeAsync(6 * HOUR + 60_000)
    expect(refreshed.length).toBeGreaterThan(3)
    service.status = 200
    await vi.advanceTimersByTimeAsync(30_000)
    expect(renewal.token).not.toBe(tokenOf(NOW))
  })

  it('is not the end if it is refused before the end: the session is used until then', async () => {
    const { service, refreshed, onEnded, call } = setUp(tokenOf(NOW))
    service.status = 403
    await vi.advanceTimersByTimeAsync(7 * HOUR)
    expect(refreshed).toHaveLength(1)
    expect(await call()).toMatchObject({ kind: 'ok' })
    expect(onEnded).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(2 * HOUR)
    const results = await Promise.all([call(), call()])
    for (const result of results) expect(result).toMatchObject({ kind: 'failed', failure: { kind: 'unauthenticated' } })
    expect(onEnded).toHaveBeenCalledOnce()
  })

  it('ends the session if it gives one of another user', async () => {
    const { session, service, onEnded } = setUp(tokenOf(NOW))
    service.user = 'mallory'
    await vi.advanceTimersByTimeAsync(6 * HOUR)
    expect(onEnded).toHaveBeenCalledOnce()
    expect(session.token).toBe(tokenOf(NOW))
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not use a session that does not say who the user is', async () => {
    const { session, service } = setUp(tokenOf(NOW))
    service.user = 401
    await vi.advanceTimersByTimeAsync(6 * HOUR)
    expect(session.token).toBe(tokenOf(NOW))
  })

  it.each(['closed', 'signed out'])('stores no token after the tab was %s', async (how) => {
    const { renewal, session, refreshed, onEnded } = setUp(tokenOf(NOW))
    vi.setSystemTime(NOW + 7 * HOUR)
    renewal.check()
    expect(refreshed).toHaveLength(1)
    if (how === 'closed') renewal.close()
    session.clear()
    await vi.advanceTimersByTimeAsync(0)
    expect(session.token).toBeUndefined()
    expect(onEnded).not.toHaveBeenCalled()
    // Not `undefined`, with which a late call would be one of a guest.
    expect(renewal.token).toBe(tokenOf(NOW))
  })
})
