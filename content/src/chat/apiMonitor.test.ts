import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Failure } from './api'
import { ApiMonitor, probeApi } from './apiMonitor'
import type { Sending } from './apiMonitor'

const unreachable: Failure = { kind: 'transient', reason: 'the chat cannot be reached.', retryAfterMs: undefined }
const rejected: Failure = { kind: 'rejected', status: 400, reason: 'no.', canRetry: false }

/** A monitor whose own calls end as `api` says at that moment; `undefined` is a success, `hangs` has no answer. */
function setUp() {
  const api: { outcome: Failure | undefined | 'hangs' } = { outcome: undefined }
  const reported: Sending[] = []
  const probe = vi.fn(() => {
    const end = monitor.begin()
    if (api.outcome !== 'hangs') end(api.outcome)
    return Promise.resolve()
  })
  const monitor = new ApiMonitor({ probe, onSending: sending => reported.push(sending) })
  return { monitor, api, probe, kinds: () => reported.map(({ kind }) => kind), call: (failure?: Failure) => { monitor.begin()(failure) } }
}

describe('what can be sent', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('is slow after 3 s without an answer, until there is one', async () => {
    const { monitor, kinds } = setUp()
    const end = monitor.begin()
    await vi.advanceTimersByTimeAsync(2999)
    expect(kinds()).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(kinds()).toEqual(['slow'])
    end(undefined)
    expect(kinds()).toEqual(['slow', 'working'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is slow as long as one of several calls is', async () => {
    const { monitor, kinds, call } = setUp()
    monitor.begin()
    await vi.advanceTimersByTimeAsync(2000)
    call()
    await vi.advanceTimersByTimeAsync(1000)
    expect(kinds()).toEqual(['slow'])
  })

  it.each(['fails at once', 'hangs'] as const)('is nothing within 3 s of the first failure when the API %s', async (how) => {
    const { api, kinds, call } = setUp()
    api.outcome = how === 'hangs' ? 'hangs' : unreachable
    call(unreachable)
    await vi.advanceTimersByTimeAsync(2000)
    expect(kinds()).toEqual(['failing'])
  })

  it('is nothing at once when a slow call fails', async () => {
    const { monitor, kinds } = setUp()
    const end = monitor.begin()
    await vi.advanceTimersByTimeAsync(15_000)
    end(unreachable)
    expect(kinds()).toEqual(['slow', 'failing'])
  })

  it('is not reported for one failed call of many', async () => {
    const { kinds, call } = setUp()
    for (let calls = 0; calls < 50; calls += 1) {
      call(calls % 10 === 0 ? unreachable : undefined)
      await vi.advanceTimersByTimeAsync(300)
    }
    expect(kinds()).toEqual([])
  })

  it('is asked for again until it works, so that the page does not show an old failure', async () => {
    const { api, probe, kinds, call } = setUp()
    api.outcome = unreachable
    call(unreachable)
    await vi.advanceTimersByTimeAsync(600_000)
    expect(probe.mock.calls.length).toBeGreaterThan(15)
    api.outcome = undefined
    await vi.advanceTimersByTimeAsync(30_000)
    expect(kinds()).toEqual(['failing', 'working'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is asked for at once when the network is back', async () => {
    const { monitor, api, probe, kinds, call } = setUp()
    api.outcome = unreachable
    call(unreachable)
    await vi.advanceTimersByTimeAsync(600_000)
    api.outcome = undefined
    probe.mockClear()
    monitor.probeNow()
    monitor.probeNow()
    expect(probe).toHaveBeenCalledOnce()
    expect(kinds()).toEqual(['failing', 'working'])
  })

  it.each<[string, Failure]>([
    ['a refusal', rejected],
    ['a missing sign-in', { kind: 'unauthenticated' }],
    ['too many calls of this person', { kind: 'transient', reason: 'too many.', retryAfterMs: 12_000, isRateLimited: true }],
  ])('does not fail by %s, which is an answer', async (_, failure) => {
    const { kinds, call } = setUp()
    call(failure)
    call(failure)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kinds()).toEqual([])
  })

  it('leaves no timer behind when it is closed', async () => {
    const { monitor, kinds, call } = setUp()
    monitor.begin()
    call(unreachable)
    monitor.close()
    call(unreachable)
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kinds()).toEqual([])
  })

  it('is asked for by a call that needs no sign-in', async () => {
    const get = vi.fn<typeof fetch>(() => Promise.resolve(new Response('{}')))
    vi.stubGlobal('fetch', get)
    await probeApi({ baseUrl: 'https://api.example', token: undefined })
    expect(get.mock.calls[0]?.[0]).toBe('https://api.example/api/features')
  })
})
