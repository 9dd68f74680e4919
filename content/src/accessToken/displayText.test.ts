import { describe, expect, it } from 'vitest'
import { describeScope, formatTime, formatTimeLeft, describeFailure, msUntilTextChanges } from './displayText'

const MINUTE = 60_000
const plain = (text: string) => text.replaceAll('\u00a0', ' ')

describe('texts about a token', () => {
  it.each([
    [1, 'in less than a minute'],
    [MINUTE - 1, 'in less than a minute'],
    [MINUTE, 'in 1 minute'],
    [60 * MINUTE - 1, 'in 59 minutes'],
    [60 * MINUTE, 'in 1 hour'],
    [61 * MINUTE, 'in 1 hour 1 minute'],
    [24 * 60 * MINUTE - 1, 'in 23 hours 59 minutes'],
  ])('format %i ms as %j', (ms, text) => {
    expect(plain(formatTimeLeft(ms))).toBe(text)
  })

  it.each([1, MINUTE, 90_000, 60 * MINUTE])('change after the predicted delay, with %i ms left', (left) => {
    const wait = msUntilTextChanges(left)
    expect(formatTimeLeft(left - wait + 1)).toBe(formatTimeLeft(left))
    expect(left - wait < 0 || formatTimeLeft(left - wait) !== formatTimeLeft(left)).toBe(true)
  })

  it('contain the weekday if it is not today', () => {
    const evening = new Date(2026, 10, 22, 23, 30)
    const later = new Date(2026, 10, 23, 0, 30)
    expect(formatTime(evening, evening)).not.toContain('Sunday')
    expect(formatTime(later, evening)).toContain('Monday')
  })

  it('describe known scopes, and contain the name of an unknown one', () => {
    const known = ['chat', 'chat.join', 'chat.join.limited', 'voip', 'voip.join']
    expect(new Set(known.map(describeScope)).size).toBe(known.length)
    for (const scope of known) expect(describeScope(scope)).toMatch(/^[A-Z].*\.$/)
    expect(['video.new', 'constructor'].map(describeScope)).toEqual(['video.new', 'constructor'])
  })

  it.each([
    [{ kind: 'unauthenticated' }, 'You have been signed out. Please sign in again.'],
    [{ kind: 'rejected', status: 404, reason: 'Set a setting.', canRetry: false }, 'This chat does not offer access tokens.'],
    [{ kind: 'rejected', status: 502, reason: 'The service refused the call.', canRetry: true }, 'That did not work: The service refused the call.'],
    [{ kind: 'transient', reason: 'too many requests at once.', retryAfterMs: 6000 }, 'That did not work: too many requests at once. Please try again in 6 seconds.'],
    [{ kind: 'transient', reason: 'too many requests at once.', retryAfterMs: 400 }, 'That did not work: too many requests at once. Please try again in 1 second.'],
    [{ kind: 'transient', reason: 'the chat cannot be reached.', retryAfterMs: undefined }, 'That did not work: the chat cannot be reached. Please try again in a minute.'],
  ] as const)('describe the failure %j', (failure, text) => {
    expect(plain(describeFailure(failure))).toBe(text)
  })
})
