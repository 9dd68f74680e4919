import { afterEach, describe, expect, it, vi } from 'vitest'
import { callApi } from './api'
import { postMessage } from './postMessage'

const api = { baseUrl: 'https://api.example', token: 'tok' }
const draft = { id: 'a1', audience: { kind: 'person', userId: 'bob' }, text: 'hi' } as const
const me = { kind: 'user', userId: 'alice' } as const

function answering(answer: () => Promise<Response>) {
  const get = vi.fn<typeof fetch>(answer)
  vi.stubGlobal('fetch', get)
  return get
}

const error = (status: number, code: string, headers: HeadersInit = {}) => () =>
  Promise.resolve(Response.json({ error: { code, message: 'What to do.' } }, { status, headers }))

async function failureOf(answer: () => Promise<Response>) {
  answering(answer)
  const answered = await callApi(api, 'https://api.example/api/messages', { method: 'POST' })
  return answered.kind === 'failed' ? answered.failure : undefined
}

describe('a call to the API', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('carries the token of the one who is signed in, and no header at all for a guest', async () => {
    const get = answering(() => Promise.resolve(new Response('{}')))
    await callApi(api, 'https://api.example/x', {})
    await callApi({ ...api, token: undefined }, 'https://api.example/x', {})
    expect(get.mock.calls.map(([, init]) => new Headers(init?.headers).get('X-ZUMO-AUTH'))).toEqual(['tok', null])
  })

  it('never follows a redirect, which would take the token along', async () => {
    const get = answering(() => Promise.resolve(new Response('{}')))
    await callApi(api, 'https://api.example/x', {})
    expect(get.mock.calls[0]?.[1]?.redirect).toBe('manual')
  })

  it.each([
    ['a network that is away', () => Promise.reject(new TypeError('Failed to fetch'))],
    ['a deadline that passed', () => Promise.reject(new DOMException('late', 'TimeoutError'))],
  ])('is worth another try after %s', async (_, answer) => {
    expect(await failureOf(answer)).toMatchObject({ kind: 'later', reached: false })
  })

  it.each([
    [408, 'timeout'], [429, 'throttled'], [500, 'internal'], [502, 'bad_gateway'], [503, 'unavailable'], [504, 'upstream_timeout'],
  ])('is worth another try after %i', async (status, code) => {
    expect(await failureOf(error(status, code))).toMatchObject({ kind: 'later', reached: true, afterMs: undefined })
  })

  it.each([['7', 7000], ['0', 0], ['86400', 300_000], ['Wed, 21 Oct 2026 07:28:00 GMT', undefined], ['-1', undefined]])('reads Retry-After %j as %j ms', async (header, afterMs) => {
    expect(await failureOf(error(503, 'unavailable', { 'Retry-After': header }))).toMatchObject({ afterMs })
  })

  it('is final after a 400, in the API’s own words', async () => {
    expect(await failureOf(error(400, 'invalid_message'))).toEqual({ kind: 'refused', status: 400, why: 'What to do.', again: false })
  })

  it('is not tried by itself where only a change of settings helps', async () => {
    expect(await failureOf(error(503, 'not_configured'))).toEqual({ kind: 'refused', status: 503, why: 'What to do.', again: true })
    expect(await failureOf(error(502, 'upstream_rejected'))).toEqual({ kind: 'refused', status: 502, why: 'What to do.', again: true })
  })

  it('needs a sign-in after a 401, or a redirect to a sign-in page', async () => {
    expect(await failureOf(error(401, 'unauthenticated'))).toEqual({ kind: 'unauthenticated' })
    const redirect = new Response('')
    Object.defineProperties(redirect, { type: { value: 'opaqueredirect' }, ok: { value: false }, status: { value: 0 } })
    expect(await failureOf(() => Promise.resolve(redirect))).toEqual({ kind: 'unauthenticated' })
  })

  it('has no words of a proxy in its own', async () => {
    const failure = await failureOf(() => Promise.resolve(new Response('<h1>Squid</h1>', { status: 403 })))
    expect(failure).toEqual({ kind: 'refused', status: 403, why: 'the API refused it (403).', again: false })
  })
})

describe('publishing a message', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('names recipient and id, and never a sender', async () => {
    const get = answering(() => Promise.resolve(Response.json({}, { status: 202 })))
    await postMessage(api, me, draft)
    const [url, init] = get.mock.calls[0] ?? []
    expect(url).toBe('https://api.example/api/messages')
    expect(new Headers(init?.headers).get('Content-Type')).toBe('application/json')
    expect(await new Response(init?.body).json()).toEqual({ id: 'a1', text: 'hi', recipient: 'bob' })
  })

  it('tells a guest’s nickname', async () => {
    const get = answering(() => Promise.resolve(Response.json({}, { status: 202 })))
    await postMessage({ ...api, token: undefined }, { kind: 'guest', nickname: 'Zoë' }, { ...draft, audience: { kind: 'everyone' } })
    expect(await new Response(get.mock.calls[0]?.[1]?.body).json()).toEqual({ id: 'a1', text: 'hi', nickname: 'Zoë' })
  })

  it('is done when the message comes back', async () => {
    answering(() => Promise.resolve(Response.json({ id: 'a1', sender: 'alice', text: 'hi', sentAt: '2026-11-21T22:00:00Z', recipient: 'bob', isPrivate: true }, { status: 202 })))
    expect(await postMessage(api, me, draft)).toMatchObject({ kind: 'published', message: { id: 'a1' } })
  })

  it.each(['', '<html>Welcome to the hotel</html>', '{"id":"other","sender":"alice","text":"hi","sentAt":"2026-11-21T22:00:00Z"}'])('is not done by a 200 that says %j', async (body) => {
    answering(() => Promise.resolve(new Response(body)))
    expect(await postMessage(api, me, draft)).toMatchObject({ kind: 'failed', failure: { kind: 'later' } })
  })
})
