import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import type { IssueResult, RevokeResult } from './accessToken'
import { useAccessToken } from './useAccessToken'

const MINUTE = 60_000
const NOW = new Date('2026-11-22T04:00:00Z')

const issued = (minutes: number, token = 'h.p.s'): IssueResult =>
  ({ kind: 'issued', token: { token, expiresOn: new Date(NOW.getTime() + minutes * MINUTE), userId: '8:acs:r_u', scopes: undefined } })
const failed = { kind: 'failed', failure: { kind: 'transient', reason: 'the chat cannot be reached.', retryAfterMs: undefined } } as const
const signedOut = { kind: 'failed', failure: { kind: 'unauthenticated' } } as const

/** The composable with an API that is controlled by the test. */
function setUp() {
  const issues: ((result: IssueResult) => void)[] = []
  const revocations: ((result: RevokeResult) => void)[] = []
  const onUnauthenticated = vi.fn()
  const scope = effectScope()
  const composable = scope.run(() => useAccessToken({
    issue: () => new Promise((resolve) => { issues.push(resolve) }),
    revoke: () => new Promise((resolve) => { revocations.push(resolve) }),
    onUnauthenticated,
  }))
  if (composable === undefined) throw new Error('the scope is active')
  const get = async (result: IssueResult) => {
    void composable.request()
    issues.shift()?.(result)
    await settle()
  }
  const revoke = async (result: RevokeResult) => {
    void composable.revokeAll()
    revocations.shift()?.(result)
    await settle()
  }
  return { composable, issues, revocations, get, revoke, onUnauthenticated, stop: () => { scope.stop() } }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

describe('the access token', () => {
  beforeEach(() => { vi.useFakeTimers({ now: NOW }) })
  afterEach(() => { vi.useRealTimers() })

  it('shows the time left by the minute, and is removed when it expires', async () => {
    const { composable, get } = setUp()
    await get(issued(60))
    expect(composable.token.value?.token).toBe('h.p.s')
    expect(composable.timeLeft.value).toBe('in 1\u00a0hour')
    await vi.advanceTimersByTimeAsync(1)
    expect(composable.timeLeft.value).toBe('in 59\u00a0minutes')
    await vi.advanceTimersByTimeAsync(58 * MINUTE)
    expect(composable.timeLeft.value).toBe('in 1\u00a0minute')
    await vi.advanceTimersByTimeAsync(2 * MINUTE)
    expect(composable.token.value).toBeUndefined()
    expect(composable.message.value).toMatch(/has expired/)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is replaced by a new one, with the new expiry', async () => {
    const { composable, get } = setUp()
    await get(issued(60))
    await get(issued(90, 'new'))
    expect(composable.token.value?.token).toBe('new')
    expect(vi.getTimerCount()).toBe(1)
  })

  it('is requested once at a time', async () => {
    const { composable, issues } = setUp()
    void composable.request()
    void composable.request()
    void composable.revokeAll()
    expect(composable.busy.value).toBe(true)
    expect(issues).toHaveLength(1)
    issues[0]?.(issued(60))
    await settle()
    expect(composable.busy.value).toBe(false)
  })

  it('stays if a new request or a revocation fails', async () => {
    const { composable, get, revoke } = setUp()
    await get(issued(60))
    await get(failed)
    expect(composable.message.value).toMatch(/^That did not work: the chat cannot be reached\./)
    await revoke(failed)
    expect(composable.message.value).toMatch(/^That did not work: the chat cannot be reached\./)
    expect(composable.token.value?.token).toBe('h.p.s')
  })

  it('is removed when all tokens are revoked', async () => {
    const { composable, get, revoke } = setUp()
    await get(issued(60))
    await revoke({ kind: 'revoked' })
    expect(composable.token.value).toBeUndefined()
    expect(composable.message.value).toBe('All your tokens are revoked.')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('can be revoked without a token here, because there may be others', async () => {
    const { composable, revoke } = setUp()
    await revoke({ kind: 'revoked' })
    expect(composable.message.value).toBe('All your tokens are revoked.')
  })

  it('is removed when the session has ended', async () => {
    const { composable, get, onUnauthenticated } = setUp()
    await get(issued(60))
    await get(signedOut)
    expect(composable.token.value).toBeUndefined()
    expect(onUnauthenticated).toHaveBeenCalledOnce()
  })

  it('is removed with its scope', async () => {
    const { composable, get, stop } = setUp()
    await get(issued(60))
    stop()
    expect(composable.token.value).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is ignored if it arrives after the scope has ended', async () => {
    const { composable, issues, stop } = setUp()
    void composable.request()
    stop()
    issues[0]?.(issued(60))
    await settle()
    expect(composable.token.value).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not report an ended session after the scope has ended', async () => {
    const { composable, revocations, onUnauthenticated, stop } = setUp()
    void composable.revokeAll()
    stop()
    revocations[0]?.(signedOut)
    await settle()
    expect(onUnauthenticated).not.toHaveBeenCalled()
  })
})
