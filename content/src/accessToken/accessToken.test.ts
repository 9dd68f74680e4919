import { afterEach, describe, expect, it, vi } from 'vitest'
import { issueToken, parseAccessToken, revokeTokens } from './accessToken'

const api = { baseUrl: 'https://api.example', token: 'tok' }
const payload = { token: 'h.p.s', expiresOn: '2026-11-22T05:00:00Z', user: { communicationUserId: '8:acs:r_u' } }

describe('an access token', () => {
  it('is parsed from the response of the API', () => {
    expect(parseAccessToken(payload)).toEqual({ token: 'h.p.s', expiresOn: new Date('2026-11-22T05:00:00Z'), userId: '8:acs:r_u', scopes: undefined })
  })

  it.each(['2026-11-22T05:00:00.5010629+00:00', '2026-11-22T05:00:00.501062900Z', '2026-11-22T07:00:00.501+02:00'])('has the same expiry in every notation: %s', (expiresOn) => {
    expect(parseAccessToken({ ...payload, expiresOn })?.expiresOn).toEqual(new Date('2026-11-22T05:00:00.501Z'))
  })

  it.each([
    [['chat', 'voip.join'], ['chat', 'voip.join']],
    [['something.new'], ['something.new']],
    [[], undefined],
    ['chat', undefined],
    [['chat', 1], undefined],
    [null, undefined],
  ])('has scopes only if the API reports them: %j', (scopes, expected) => {
    expect(parseAccessToken({ ...payload, scopes })?.scopes).toEqual(expected)
  })

  it.each([
    undefined, null, 'h.p.s', [], {},
    { ...payload, token: '' }, { ...payload, token: 1 }, { ...payload, token: undefined },
    { ...payload, expiresOn: 'automatic-retry' }, { ...payload, expiresOn: 1_795_000_000 }, { ...payload, expiresOn: '2026-11-22T05:00:00' },
    { ...payload, user: null }, { ...payload, user: 'me' }, { ...payload, user: {} }, { ...payload, user: { communicationUserId: '' } },
  ])('is undefined if the response is invalid: %j', (raw) => {
    expect(parseAccessToken(raw)).toBeUndefined()
  })
})

describe('calls for access tokens', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  const stubFetch = (respond: () => Response) => {
    const get = vi.fn<typeof fetch>(() => Promise.resolve(respond()))
    vi.stubGlobal('fetch', get)
    return get
  }

  it('issue a token for the signed-in user, with an empty body', async () => {
    const get = stubFetch(() => Response.json(payload))
    expect(await issueToken(api)).toMatchObject({ kind: 'issued', token: { token: 'h.p.s' } })
    const [url, init] = get.mock.calls[0] ?? []
    expect([url, init?.method, init?.body]).toEqual(['https://api.example/api/access-token', 'POST', undefined])
    expect(new Headers(init?.headers).get('X-ZUMO-AUTH')).toBe('tok')
    expect(init?.cache).toBe('no-store')
  })

  it('revoke all tokens with DELETE', async () => {
    const get = stubFetch(() => new Response(null, { status: 204 }))
    expect(await revokeTokens(api)).toEqual({ kind: 'revoked' })
    const [url, init] = get.mock.calls[0] ?? []
    expect([url, init?.method, init?.body]).toEqual(['https://api.example/api/access-token', 'DELETE', undefined])
  })

  it('fail if the response is a proxy’s page', async () => {
    stubFetch(() => new Response('<html>Welcome to the hotel</html>'))
    expect(await issueToken(api)).toMatchObject({ kind: 'failed', failure: { kind: 'transient' } })
  })

  it('return why they failed', async () => {
    stubFetch(() => Response.json({ error: { code: 'unauthenticated', message: 'Sign in.' } }, { status: 401 }))
    expect(await issueToken(api)).toEqual({ kind: 'failed', failure: { kind: 'unauthenticated', code: 'unauthenticated' } })
    expect(await revokeTokens(api)).toEqual({ kind: 'failed', failure: { kind: 'unauthenticated', code: 'unauthenticated' } })
  })
})
