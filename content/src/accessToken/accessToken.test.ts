import { afterEach, describe, expect, it, vi } from 'vitest'
import { issueToken, parseAccessToken, revokeTokens } from './accessToken'

const api = { baseUrl: 'https://api.example', token: 'tok' }
const wire = { token: 'h.p.s', expiresOn: '2026-11-22T05:00:00Z', user: { communicationUserId: '8:acs:r_u' } }

describe('an access token', () => {
  it('is read as the API gives it out', () => {
    expect(parseAccessToken(wire)).toEqual({ token: 'h.p.s', endsAt: new Date('2026-11-22T05:00:00Z'), userId: '8:acs:r_u', scopes: undefined })
  })

  it.each(['2026-11-22T05:00:00.5010629+00:00', '2026-11-22T05:00:00.501062900Z', '2026-11-22T07:00:00.501+02:00'])('ends at the same time however that is written: %s', (expiresOn) => {
    expect(parseAccessToken({ ...wire, expiresOn })?.endsAt).toEqual(new Date('2026-11-22T05:00:00.501Z'))
  })

  it.each([
    [['chat', 'voip.join'], ['chat', 'voip.join']],
    [['something.new'], ['something.new']],
    [[], undefined],
    ['chat', undefined],
    [['chat', 1], undefined],
    [null, undefined],
  ])('tells its scopes only where the API tells them: %j', (scopes, read) => {
    expect(parseAccessToken({ ...wire, scopes })?.scopes).toEqual(read)
  })

  it.each([
    undefined, null, 'h.p.s', [], {},
    { ...wire, token: '' }, { ...wire, token: 1 }, { ...wire, token: undefined },
    { ...wire, expiresOn: 'soon' }, { ...wire, expiresOn: 1_795_000_000 }, { ...wire, expiresOn: '2026-11-22T05:00:00' },
    { ...wire, user: null }, { ...wire, user: 'me' }, { ...wire, user: {} }, { ...wire, user: { communicationUserId: '' } },
  ])('is none when it does not fit the contract: %j', (raw) => {
    expect(parseAccessToken(raw)).toBeUndefined()
  })
})

describe('asking the API', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  const answering = (answer: () => Response) => {
    const get = vi.fn<typeof fetch>(() => Promise.resolve(answer()))
    vi.stubGlobal('fetch', get)
    return get
  }

  it('gets a token by who is signed in, and asks for nothing in particular', async () => {
    const get = answering(() => Response.json(wire))
    expect(await issueToken(api)).toMatchObject({ kind: 'issued', token: { token: 'h.p.s' } })
    const [url, init] = get.mock.calls[0] ?? []
    expect([url, init?.method, init?.body]).toEqual(['https://api.example/api/access-token', 'POST', undefined])
    expect(new Headers(init?.headers).get('X-ZUMO-AUTH')).toBe('tok')
    expect(init?.cache).toBe('no-store')
  })

  it('ends all tokens with a DELETE of the same address', async () => {
    const get = answering(() => new Response(null, { status: 204 }))
    expect(await revokeTokens(api)).toEqual({ kind: 'revoked' })
    const [url, init] = get.mock.calls[0] ?? []
    expect([url, init?.method, init?.body]).toEqual(['https://api.example/api/access-token', 'DELETE', undefined])
  })

  it('has no token in the words of a proxy', async () => {
    answering(() => new Response('<html>Welcome to the hotel</html>'))
    expect(await issueToken(api)).toMatchObject({ kind: 'failed', failure: { kind: 'later' } })
  })

  it('says why there is none', async () => {
    answering(() => Response.json({ error: { code: 'unauthenticated', message: 'Sign in.' } }, { status: 401 }))
    expect(await issueToken(api)).toEqual({ kind: 'failed', failure: { kind: 'unauthenticated' } })
    expect(await revokeTokens(api)).toEqual({ kind: 'failed', failure: { kind: 'unauthenticated' } })
  })
})
