import { describe, expect, it } from 'vitest'
import { allowedBy, clockOf, inWords, sentenceOf, untilItChanges } from './displayText'

const MINUTE = 60_000
const plain = (text: string) => text.replaceAll('\u00a0', ' ')

describe('the words about a token', () => {
  it.each([
    [1, 'in less than a minute'],
    [MINUTE - 1, 'in less than a minute'],
    [MINUTE, 'in 1 minute'],
    [60 * MINUTE - 1, 'in 59 minutes'],
    [60 * MINUTE, 'in 1 hour'],
    [61 * MINUTE, 'in 1 hour 1 minute'],
    [24 * 60 * MINUTE - 1, 'in 23 hours 59 minutes'],
  ])('say %i ms as %j', (ms, words) => {
    expect(plain(inWords(ms))).toBe(words)
  })

  it.each([1, MINUTE, 90_000, 60 * MINUTE])('change when they say they do, after %i ms', (left) => {
    const wait = untilItChanges(left)
    expect(inWords(left - wait + 1)).toBe(inWords(left))
    expect(left - wait < 0 || inWords(left - wait) !== inWords(left)).toBe(true)
  })

  it('name the day where it is not today', () => {
    const evening = new Date(2026, 10, 22, 23, 30)
    const later = new Date(2026, 10, 23, 0, 30)
    expect(clockOf(evening, evening)).not.toContain('Sunday')
    expect(clockOf(later, evening)).toContain('Monday')
  })

  it('say of every scope what it allows, and of an unknown one its name', () => {
    const known = ['chat', 'chat.join', 'chat.join.limited', 'voip', 'voip.join']
    expect(new Set(known.map(allowedBy)).size).toBe(known.length)
    for (const scope of known) expect(allowedBy(scope)).toMatch(/^[A-Z].*\.$/)
    expect(['video.new', 'constructor'].map(allowedBy)).toEqual(['video.new', 'constructor'])
  })

  it.each([
    [{ kind: 'unauthenticated' }, 'Your session has ended. Please sign in again.'],
    [{ kind: 'refused', status: 404, why: 'Set a setting.', again: false }, 'This chat gives out no such tokens.'],
    [{ kind: 'refused', status: 502, why: 'The service refused the call.', again: true }, 'That did not work: The service refused the call.'],
    [{ kind: 'later', why: 'too many calls at once.', afterMs: 6000, reached: true }, 'That did not work: too many calls at once. Please try again in 6 seconds.'],
    [{ kind: 'later', why: 'too many calls at once.', afterMs: 400, reached: true }, 'That did not work: too many calls at once. Please try again in 1 second.'],
    [{ kind: 'later', why: 'the network or the API is away.', afterMs: undefined, reached: false }, 'That did not work: the network or the API is away. Please try again in a minute.'],
  ] as const)('say what became of it after %j', (failure, sentence) => {
    expect(plain(sentenceOf(failure))).toBe(sentence)
  })
})
