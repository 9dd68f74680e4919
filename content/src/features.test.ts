import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { BASIC_FEATURES, fetchFeatures, parseFeatures, useFeatures } from './features'
import type { FeaturesResult } from './features'

const config = { apiBaseUrl: 'https://api.example/base', authProvider: 'aad' }
const all = { guests: true, history: true, privateHistory: false, rooms: '*', accessTokens: true } as const
const known: FeaturesResult = { kind: 'known', features: all }
const transient: FeaturesResult = { kind: 'failed', failure: { kind: 'transient', reason: 'the chat cannot be reached.', retryAfterMs: undefined } }
const rejected: FeaturesResult = { kind: 'failed', failure: { kind: 'rejected', status: 404, reason: 'no.', canRetry: false } }

describe('the features', () => {
  it.each([
    [all, all],
    [{ ...all, calls: true }, all],
    [{ ...all, rooms: ['games', 'Music', 'no room!', 7] }, { ...all, rooms: ['games', 'music'] }],
    [{ ...all, rooms: 'games' }, undefined],
    [{ guests: true, accessTokens: true }, undefined],
    [{ ...all, guests: 'true' }, undefined],
    [{ ...all, accessTokens: null }, undefined],
    [[], undefined],
    [null, undefined],
    ['guests', undefined],
  ])('in %j are %j', (raw, features) => {
    expect(parseFeatures(raw)).toEqual(features)
  })

  it('are asked for without a sign-in', async () => {
    const get = vi.fn<typeof fetch>(() => Promise.resolve(Response.json(all)))
    vi.stubGlobal('fetch', get)
    expect(await fetchFeatures(config)).toEqual(known)
    const [url, init] = get.mock.calls[0] ?? []
    expect(url).toBe('https://api.example/base/api/features')
    expect([...new Headers(init?.headers).keys()]).toEqual([])
  })

  it('are the basic ones of an older API', async () => {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(new Response('', { status: 404 }))))
    expect(await fetchFeatures(config)).toEqual({ kind: 'known', features: BASIC_FEATURES })
  })

  it.each([
    ['the network fails', () => Promise.reject(new TypeError()), 'the chat cannot be reached.'],
    ['the API is starting', () => Promise.resolve(new Response('', { status: 503 })), 'the chat is busy or restarting.'],
    ['something else answers', () => Promise.resolve(new Response('<html>')), 'the response did not come from the chat.'],
    ['a field is missing', () => Promise.resolve(Response.json({ guests: true })), 'the response did not come from the chat.'],
  ])('are not known if %s', async (_, answer, reason) => {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(answer))
    expect(await fetchFeatures(config)).toMatchObject({ kind: 'failed', failure: { reason } })
  })
})

describe('loading the features', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  function setUp(...answers: FeaturesResult[]) {
    const fetchNow = vi.fn(() => Promise.resolve(answers.shift() ?? known))
    const scope = effectScope()
    const loaded = scope.run(() => useFeatures(fetchNow))
    if (loaded === undefined) throw new Error('the scope is active')
    return { ...loaded, fetchNow, scope }
  }

  it('repeats a call that failed for the moment', async () => {
    const { result, load, fetchNow } = setUp(transient, transient)
    expect(result.value).toBeUndefined()
    await load()
    expect(result.value).toEqual(transient)
    await vi.runAllTimersAsync()
    expect(result.value).toEqual(known)
    expect(fetchNow).toHaveBeenCalledTimes(3)
  })

  it('does not repeat a call at once, even if the API asks for no delay', async () => {
    const { load, fetchNow } = setUp({ kind: 'failed', failure: { kind: 'transient', reason: 'busy.', retryAfterMs: 0 } })
    await load()
    await vi.advanceTimersByTimeAsync(100)
    expect(fetchNow).toHaveBeenCalledTimes(1)
    await vi.runAllTimersAsync()
    expect(fetchNow).toHaveBeenCalledTimes(2)
  })

  it('does not repeat a call that was rejected, until it is asked to', async () => {
    const { result, load, fetchNow } = setUp(rejected)
    await load()
    await vi.runAllTimersAsync()
    expect(result.value).toEqual(rejected)
    expect(fetchNow).toHaveBeenCalledTimes(1)
    await load()
    expect(result.value).toEqual(known)
  })

  it('repeats a call that was rejected because of settings, which may be corrected while people chat', async () => {
    const { result, load } = setUp({ kind: 'failed', failure: { kind: 'rejected', status: 500, code: 'not_configured', reason: 'no.', canRetry: true } })
    await load()
    await vi.runAllTimersAsync()
    expect(result.value).toEqual(known)
  })

  it('repeats nothing when it is no longer needed', async () => {
    const { load, fetchNow, scope } = setUp(transient)
    await load()
    scope.stop()
    await vi.runAllTimersAsync()
    expect(fetchNow).toHaveBeenCalledTimes(1)
  })

  it('makes one call at a time', async () => {
    const { load, fetchNow } = setUp()
    await Promise.all([load(), load()])
    expect(fetchNow).toHaveBeenCalledTimes(1)
  })
})
