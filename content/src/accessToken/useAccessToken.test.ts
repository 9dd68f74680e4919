import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import type { Issued, Revoked } from './accessToken'
import { useAccessToken } from './useAccessToken'

const MINUTE = 60_000
const NOW = new Date('2026-11-22T04:00:00Z')

const issued = (minutes: number, token = 'h.p.s'): Issued =>
  ({ kind: 'issued', token: { token, endsAt: new Date(NOW.getTime() + minutes * MINUTE), userId: '8:acs:r_u', scopes: undefined } })
const failed = { kind: 'failed', failure: { kind: 'later', why: 'away.', afterMs: undefined, reached: false } } as const
const ended = { kind: 'failed', failure: { kind: 'unauthenticated' } } as const

/** A token whose API is in the test's hand. */
function house() {
  const answers: ((result: Issued) => void)[] = []
  const endings: ((result: Revoked) => void)[] = []
  const onUnauthenticated = vi.fn()
  const scope = effectScope()
  const hand = scope.run(() => useAccessToken({
    issue: () => new Promise((resolve) => { answers.push(resolve) }),
    revoke: () => new Promise((resolve) => { endings.push(resolve) }),
    onUnauthenticated,
  }))
  if (hand === undefined) throw new Error('the scope is active')
  const get = async (result: Issued) => {
    void hand.ask()
    answers.shift()?.(result)
    await settled()
  }
  const revoke = async (result: Revoked) => {
    void hand.revokeAll()
    endings.shift()?.(result)
    await settled()
  }
  return { hand, answers, endings, get, revoke, onUnauthenticated, stop: () => { scope.stop() } }
}

const settled = () => vi.advanceTimersByTimeAsync(0)

describe('a token in hand', () => {
  beforeEach(() => { vi.useFakeTimers({ now: NOW }) })
  afterEach(() => { vi.useRealTimers() })

  it('tells when it ends, minute by minute, and is gone when it has ended', async () => {
    const { hand, get } = house()
    await get(issued(60))
    expect(hand.held.value?.token).toBe('h.p.s')
    expect(hand.endsIn.value).toBe('in 1\u00a0hour')
    await vi.advanceTimersByTimeAsync(1)
    expect(hand.endsIn.value).toBe('in 59\u00a0minutes')
    await vi.advanceTimersByTimeAsync(58 * MINUTE)
    expect(hand.endsIn.value).toBe('in 1\u00a0minute')
    await vi.advanceTimersByTimeAsync(2 * MINUTE)
    expect(hand.held.value).toBeUndefined()
    expect(hand.told.value).toMatch(/has ended/)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is replaced by a new one, and then ends when that does', async () => {
    const { hand, get } = house()
    await get(issued(60))
    await get(issued(90, 'new'))
    expect(hand.held.value?.token).toBe('new')
    expect(vi.getTimerCount()).toBe(1)
  })

  it('is asked for once at a time', async () => {
    const { hand, answers } = house()
    void hand.ask()
    void hand.ask()
    void hand.revokeAll()
    expect(hand.busy.value).toBe(true)
    expect(answers).toHaveLength(1)
    answers[0]?.(issued(60))
    await settled()
    expect(hand.busy.value).toBe(false)
  })

  it('stays when a new one could not be got, or when revoking failed', async () => {
    const { hand, get, revoke } = house()
    await get(issued(60))
    await get(failed)
    expect(hand.told.value).toMatch(/^That did not work: away\./)
    await revoke(failed)
    expect(hand.told.value).toMatch(/^That did not work: away\./)
    expect(hand.held.value?.token).toBe('h.p.s')
  })

  it('is gone once all are revoked', async () => {
    const { hand, get, revoke } = house()
    await get(issued(60))
    await revoke({ kind: 'revoked' })
    expect(hand.held.value).toBeUndefined()
    expect(hand.told.value).toBe('All your tokens are revoked.')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('can be revoked without being in hand, since there may be others', async () => {
    const { hand, revoke } = house()
    await revoke({ kind: 'revoked' })
    expect(hand.told.value).toBe('All your tokens are revoked.')
  })

  it('is gone with the session, which is told', async () => {
    const { hand, get, onUnauthenticated } = house()
    await get(issued(60))
    await get(ended)
    expect(hand.held.value).toBeUndefined()
    expect(onUnauthenticated).toHaveBeenCalledOnce()
  })

  it('is gone with whoever asked for it', async () => {
    const { hand, get, stop } = house()
    await get(issued(60))
    stop()
    expect(hand.held.value).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is dropped when it comes too late', async () => {
    const { hand, answers, stop } = house()
    void hand.ask()
    stop()
    answers[0]?.(issued(60))
    await settled()
    expect(hand.held.value).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('no longer tells of a session that ended after nobody was there', async () => {
    const { hand, endings, onUnauthenticated, stop } = house()
    void hand.revokeAll()
    stop()
    endings[0]?.(ended)
    await settled()
    expect(onUnauthenticated).not.toHaveBeenCalled()
  })
})
