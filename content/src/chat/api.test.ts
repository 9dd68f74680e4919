import { afterEach, describe, expect, it, vi } from 'vitest'
import { callApi, createApi } from './api'
import type { Failure } from './api'
import { postMessage } from './postMessage'

const api = { baseUrl: 'https://api.example', token: 'tok' }
const draft = { id: 'a1', audience: { kind: 'person', userId: 'bob' }, text: 'hi' } as const
const me = { kind: 'user', userId: 'alice' } as const

function stubFetch(answer: () => Promise<Response>) {
  const get = vi.fn<typeof fetch>(answer)
  vi.stubGlobal('fetch', get)
  return get
}

const error = (status: number, code: string, headers: HeadersInit = {}) => () =>
  Promise.resolve(Response.json({ error: { code, message: 'What to do.' } }, { status, headers }))

async function failureOf(answer: () => Promise<Response>) {
  stubFetch(answer)
  const result = await callApi(api, 'https://api.example/api/messages', { method: 'POST' })
  return result.kind === 'failed' ? result.failure : undefined
}

describe('a call to the API', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('sends the token of a signed-in user, and no header for a guest', async () => {
    const get = stubFetch(() => Promise.resolve(new Response('{}')))
    await callApi(api, 'https://api.example/x', {})
    await callApi({ ...api, token: undefined }, 'https://api.example/x', {})
    expect(get.mock.calls.map(([, init]) => new Headers(init?.headers).get('X-ZUMO-AUTH'))).toEqual(['tok', null])
  })

  it('never follows a redirect, which would forward the token', async () => {
    const get = stubFetch(() => Promise.resolve(new Response('{}')))
    await callApi(api, 'https://api.example/x', {})
    expect(get.mock.calls[0]?.[1]?.redirect).toBe('manual')
  })

  it.each([
    ['a network error', () => Promise.reject(new TypeError('Failed to fetch'))],
    ['a time-out', () => Promise.reject(new DOMException('late', 'TimeoutError'))],
  ])('is a transient failure after %s', async (_, respond) => {
    expect(await failureOf(respond)).toMatchObject({ kind: 'transient' })
  })

  it.each([
    [408, 'timeout'], [429, 'throttled'], [500, 'internal'], [502, 'bad_gateway'], [503, 'unavailable'], [504, 'upstream_timeout'],
  ])('is a transient failure after %i', async (status, code) => {
    expect(await failureOf(error(status, code))).toMatchObject({ kind: 'transient', retryAfterMs: undefined })
  })

  it.each([
    [429, 'rate_limited', true], [429, 'throttled', false], [503, 'unavailable', false], [503, 'rate_limited', false],
  ])('is about this person only after 429 rate_limited: %i %s', async (status, code, isRateLimited) => {
    const failure = await failureOf(error(status, code, { 'Retry-After': '12' }))
    expect(failure).toMatchObject({ kind: 'transient', retryAfterMs: 12_000 })
    expect(failure?.kind === 'transient' && failure.isRateLimited === true).toBe(isRateLimited)
  })

  it.each([['7', 7000], ['0', 0], ['86400', 300_000], ['Wed, 21 Oct 2026 07:28:00 GMT', undefined], ['-1', undefined]])('reads Retry-After %j as %j ms', async (header, retryAfterMs) => {
    expect(await failureOf(error(503, 'unavailable', { 'Retry-After': header }))).toMatchObject({ retryAfterMs })
  })

  it.each<[string, () => Promise<Response>, boolean]>([
    ['a network error', () => Promise.reject(new TypeError('Failed to fetch')), true],
    ['500', error(500, 'internal'), true],
    ['504', error(504, 'upstream_timeout'), true],
    ['503 of the history', error(503, 'history_unavailable'), true],
    ['503 of a host', () => Promise.resolve(new Response('', { status: 503 })), true],
    ['503 of the handler before it does anything', error(503, 'unavailable'), false],
    ['429', error(429, 'throttled'), false],
    ['408', error(408, 'request_timeout'), false],
  ])('may have been done after %s: %#', async (_, respond, mayBeDone) => {
    const failure = await failureOf(respond)
    expect(failure?.kind === 'transient' && failure.mayBeDone === true).toBe(mayBeDone)
  })

  it('is rejected after a 400, with the message of the API', async () => {
    expect(await failureOf(error(400, 'invalid_message'))).toEqual({ kind: 'rejected', status: 400, code: 'invalid_message', reason: 'What to do.', canRetry: false })
  })

  it('is rejected with a manual retry if the settings of the API are wrong', async () => {
    expect(await failureOf(error(503, 'not_configured'))).toEqual({ kind: 'rejected', status: 503, code: 'not_configured', reason: 'What to do.', canRetry: true })
    expect(await failureOf(error(502, 'upstream_rejected'))).toEqual({ kind: 'rejected', status: 502, code: 'upstream_rejected', reason: 'What to do.', canRetry: true })
  })

  it('is unauthenticated after a 401 or a redirect to a sign-in page', async () => {
    expect(await failureOf(error(401, 'session_without_name'))).toEqual({ kind: 'unauthenticated', code: 'session_without_name' })
    const redirect = new Response('')
    Object.defineProperties(redirect, { type: { value: 'opaqueredirect' }, ok: { value: false }, status: { value: 0 } })
    expect(await failureOf(() => Promise.resolve(redirect))).toEqual({ kind: 'unauthenticated' })
  })

  it('does not repeat the body of a proxy', async () => {
    const failure = await failureOf(() => Promise.resolve(new Response('<h1>Squid</h1>', { status: 403 })))
    expect(failure).toEqual({ kind: 'rejected', status: 403, reason: 'the chat refused it (403).', canRetry: false })
  })
})

describe('a call with a session that has ended', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  /** A session that is renewed as `outcome` says. Tokens other than `new` are refused. */
  function setUp(outcome: 'renewed' | 'ended' | 'unknown', validToken = 'new') {
    const get = vi.fn<typeof fetch>((_, init) => {
      const isValid = new Headers(init?.headers).get('X-ZUMO-AUTH') === validToken
      return isValid ? Promise.resolve(new Response('{}')) : error(401, 'unauthenticated')()
    })
    vi.stubGlobal('fetch', get)
    const outcomes: (Failure | undefined)[] = []
    const renewal = {
      token: 'old',
      awaited: (): Promise<unknown> | undefined => undefined,
      renew: vi.fn(() => {
        if (outcome === 'renewed') renewal.token = 'new'
        return Promise.resolve(outcome)
      }),
    }
    const api = createApi('https://api.example', renewal, { begin: () => (failure) => { outcomes.push(failure) } })
    return { renewal, outcomes, get, call: () => callApi(api, 'https://api.example/x', {}) }
  }

  it('is made again with the renewed one', async () => {
    const { renewal, outcomes, call } = setUp('renewed')
    expect(await call()).toEqual({ kind: 'ok', text: '{}' })
    expect(renewal.renew).toHaveBeenCalledWith('old')
    expect(outcomes).toEqual([{ kind: 'unauthenticated', code: 'unauthenticated' }, undefined])
  })

  it('is made again only once', async () => {
    const { renewal, call, get } = setUp('renewed', 'none')
    expect(await call()).toMatchObject({ kind: 'failed', failure: { kind: 'unauthenticated' } })
    expect([renewal.renew.mock.calls.length, get.mock.calls.length]).toEqual([1, 2])
  })

  it('is unauthenticated if the session cannot be renewed, and may work later if that is not known', async () => {
    expect(await setUp('ended').call()).toMatchObject({ kind: 'failed', failure: { kind: 'unauthenticated' } })
    expect(await setUp('unknown').call()).toMatchObject({ kind: 'failed', failure: { kind: 'transient' } })
  })

  it('waits for a renewal under way', async () => {
    const { renewal, call, get } = setUp('ended')
    renewal.awaited = () => Promise.resolve().then(() => { renewal.token = 'new' })
    expect(await call()).toMatchObject({ kind: 'ok' })
    expect(get).toHaveBeenCalledOnce()
  })
})

describe('publishing a message', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('sends recipient and id, and no sender', async () => {
    const get = stubFetch(() => Promise.resolve(Response.json({}, { status: 202 })))
    await postMessage(api, me, draft)
    const [url, init] = get.mock.calls[0] ?? []
    expect(url).toBe('https://api.example/api/messages')
    expect(new Headers(init?.headers).get('Content-Type')).toBe('application/json')
    expect(await new Response(init?.body).json()).toEqual({ id: 'a1', text: 'hi', recipient: 'bob' })
  })

  it('sends the room', async () => {
    const get = stubFetch(() => Promise.resolve(Response.json({}, { status: 202 })))
    await postMessage(api, me, { ...draft, audience: { kind: 'room', room: 'games' } })
    expect(await new Response(get.mock.calls[0]?.[1]?.body).json()).toEqual({ id: 'a1', text: 'hi', room: 'games' })
  })

  it('sends a guest’s nickname', async () => {
    const get = stubFetch(() => Promise.resolve(Response.json({}, { status: 202 })))
    await postMessage({ ...api, token: undefined }, { kind: 'guest', nickname: 'Zoë' }, { ...draft, audience: { kind: 'everyone' } })
    expect(await new Response(get.mock.calls[0]?.[1]?.body).json()).toEqual({ id: 'a1', text: 'hi', nickname: 'Zoë' })
  })

  it('succeeds if the response contains the message', async () => {
    stubFetch(() => Promise.resolve(Response.json({ id: 'a1', sender: 'alice', text: 'hi', sentAt: '2026-11-21T22:00:00Z', recipient: 'bob', isPrivate: true }, { status: 202 })))
    expect(await postMessage(api, me, draft)).toMatchObject({ kind: 'published', message: { id: 'a1' } })
  })

  it.each([[true, true], [false, false], [undefined, undefined], ['no', undefined]])('reads recipientOnline %j as %j', async (recipientOnline, expected) => {
    const message = { id: 'a1', sender: 'alice', text: 'hi', sentAt: '2026-11-21T22:00:00Z', recipient: 'bob', isPrivate: true }
    stubFetch(() => Promise.resolve(Response.json({ ...message, recipientOnline }, { status: 202 })))
    const result = await postMessage(api, me, draft)
    expect(result.kind === 'published' && result.recipientOnline).toBe(expected)
  })

  it.each([[true, true], [false, false], [undefined, undefined]])('tells if it reached the people who are connected: live %j', async (live, isLive) => {
    stubFetch(() => Promise.resolve(Response.json({ id: 'a1', sender: 'alice', text: 'hi', sentAt: '2026-11-21T22:00:00Z', live }, { status: 202 })))
    expect(await postMessage(api, me, draft)).toMatchObject({ kind: 'published', isLive })
  })

  it.each(['', '<html>Welcome to the hotel</html>', '{"id":"other","sender":"alice","text":"hi","sentAt":"2026-11-21T22:00:00Z"}'])('fails if the body of the 200 is %j', async (body) => {
    stubFetch(() => Promise.resolve(new Response(body)))
    expect(await postMessage(api, me, draft)).toMatchObject({ kind: 'failed', failure: { kind: 'transient' } })
  })
})
