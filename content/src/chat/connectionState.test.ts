import { describe, expect, it } from 'vitest'
import { initialState, liveAttempt, nextState, nextTick } from './connectionState'
import type { ConnectionEvent, ConnectionState } from './connectionState'

const SECOND = 1000

/** A connection of which each event is at the time of the last one plus `after`. */
function run(...events: (readonly [after: number, event: ConnectionEvent])[]): { state: ConnectionState, now: number } {
  let now = 1_800_000_000_000
  let state = initialState(now)
  for (const [after, event] of events) {
    now += after
    state = nextState(state, event, now, 0.5)
  }
  return { state, now }
}

const started: ConnectionEvent = { kind: 'started', connectionId: 'c' }
const failed: ConnectionEvent = { kind: 'failed', failure: undefined }
const limited: ConnectionEvent = { kind: 'failed', failure: { kind: 'transient', reason: 'too many.', retryAfterMs: 60 * SECOND, isRateLimited: true } }
const busy: ConnectionEvent = { kind: 'failed', failure: { kind: 'transient', reason: 'busy.', retryAfterMs: 60 * SECOND } }
const tick: ConnectionEvent = { kind: 'tick' }
const resumed = (from: 'offline' | 'hidden' | 'frozen' | 'cached'): ConnectionEvent => ({ kind: 'resumed', from })
const echoExpected: ConnectionEvent = { kind: 'echo-expected', id: 'a' }

describe('the state of the connection', () => {
  it.each<[string, (readonly [number, ConnectionEvent])[], string, string]>([
    ['a first failure is not reported', [[0, failed]], 'waiting', 'none'],
    ['a second one is', [[0, failed], [SECOND, tick], [0, failed]], 'waiting', 'service'],
    ['a delay that the API asks for is', [[0, busy]], 'waiting', 'api'],
    ['a start has 20 s', [[20 * SECOND - 1, tick]], 'starting', 'none'],
    ['a start that takes longer has failed', [[20 * SECOND, tick]], 'waiting', 'none'],
    ['silence for 18 s is suspect', [[0, started], [18 * SECOND, tick]], 'starting', 'silence'],
    ['silence for less is not', [[0, started], [18 * SECOND - 1, tick]], 'connected', 'none'],
    ['a ping ends the silence', [[0, started], [15 * SECOND, { kind: 'heard' }], [17 * SECOND, tick]], 'connected', 'none'],
    ['an own message that does not come back is suspect', [[0, started], [SECOND, echoExpected], [3 * SECOND, tick]], 'starting', 'silence'],
    ['one that comes back is not', [[0, started], [SECOND, echoExpected], [SECOND, { kind: 'echo', id: 'a' }], [3 * SECOND, tick]], 'connected', 'none'],
    ['one whose echo waits in a page that stood still is not', [[0, started], [SECOND, echoExpected], [6 * SECOND, tick]], 'connected', 'none'],
    ['a connection closed by the service is replaced', [[0, started], [0, { kind: 'closed' }]], 'waiting', 'none'],
    ['no network drops the connection', [[0, started], [0, { kind: 'offline' }]], 'waiting', 'none'],
    ['the network is back: at once', [[0, failed], [1, resumed('offline')]], 'starting', 'none'],
    ['the network is back during an attempt from before: anew', [[5 * SECOND, resumed('offline')]], 'starting', 'none'],
    ['a hidden tab is shown: at once', [[0, failed], [1, resumed('hidden')]], 'starting', 'none'],
    ['a hidden tab is shown with a live connection: it stays', [[0, started], [17 * SECOND, resumed('hidden')]], 'connected', 'none'],
    ['a frozen tab comes back after a minute', [[0, started], [60 * SECOND, resumed('frozen')]], 'starting', 'silence'],
    ['a page comes out of the back/forward cache', [[10 * SECOND, started], [10 * SECOND, resumed('cached')]], 'starting', 'silence'],
    ['a delay that the API asks for is kept when the network is back', [[0, busy], [SECOND, resumed('offline')]], 'waiting', 'api'],
    ['a person may shorten it', [[0, busy], [SECOND, { kind: 'retry-now' }]], 'starting', 'api'],
    ['but not after too many attempts', [[0, limited], [SECOND, { kind: 'retry-now' }]], 'waiting', 'api'],
    ['a clock that was set back wakes a waiting page', [[0, busy], [-3_600_000, tick]], 'starting', 'api'],
    ['and replaces a connection', [[0, started], [-3_600_000, tick]], 'starting', 'silence'],
    ['a connection of an old session is replaced', [[0, { kind: 'outdated' }]], 'starting', 'none'],
    ['the end of the session is final', [[0, { kind: 'session-ended' }], [0, { kind: 'retry-now' }]], 'ended', 'none'],
  ])('%s', (_, events, phase, trouble) => {
    const { state } = run(...events)
    expect([state.phase.kind, state.trouble.kind]).toEqual([phase, trouble])
  })

  it('does not take a chat that sends no message back for a dead connection more than twice', () => {
    const again = [[0, started], [12 * SECOND, echoExpected], [3 * SECOND, tick]] as const
    expect(run(...again, ...again).state.phase.kind).toBe('starting')
    expect(run(...again, ...again, ...again).state.phase.kind).toBe('connected')
    const { state } = run(...again, ...again, ...again, [0, { kind: 'echo', id: 'a' }])
    expect(state.missedEchoes).toBe(0)
  })

  it('waits longer each time if connections are short', () => {
    const { state, now } = run([0, started], [SECOND, { kind: 'closed' }], [SECOND, tick], [0, started], [SECOND, { kind: 'closed' }])
    expect(state.failures).toBe(2)
    expect(nextTick(state, now)).toBe(now + 750)
  })

  it('looks at the time every two seconds, because timers stand still while a computer sleeps', () => {
    const { state, now } = run([0, started])
    expect(nextTick(state, now)).toBe(now + 2 * SECOND)
  })
})

/** Random numbers in [0, 1) that are the same in each run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const EVENTS: readonly ConnectionEvent[] = [
  started, failed, limited, busy, tick, tick, tick, echoExpected, { kind: 'echo', id: 'a' }, { kind: 'outdated' }, { kind: 'closed' }, { kind: 'heard' },
  { kind: 'offline' }, resumed('offline'), resumed('hidden'), resumed('frozen'), resumed('cached'), { kind: 'retry-now' },
]

/** The longest wait: a Retry-After of 60 s, or a backoff of 30 s. */
const MAX_WAIT = 60 * SECOND

describe('any order of events', () => {
  it.each(Array.from({ length: 200 }, (_, seed) => seed))('keeps one connection, or plans one, until the end: %i', (seed) => {
    const random = randomOf(seed)
    let now = 1_800_000_000_000
    let state = initialState(now)
    let attempt = state.attempt
    for (let count = 0; count < 300; count += 1) {
      const event = EVENTS[Math.floor(random() * EVENTS.length)] ?? tick
      now += Math.floor(random() ** 6 * 100 * SECOND)
      const before = state
      state = nextState(before, event, now, random())
      // Each attempt has its own number, so the caller ends the earlier connection.
      expect(state.attempt - attempt).toBeGreaterThanOrEqual(0)
      if (state.phase.kind === 'starting' && before.phase.kind !== 'starting') expect(state.attempt).toBeGreaterThan(attempt)
      attempt = state.attempt
      if (state.phase.kind === 'waiting') {
        expect(liveAttempt(state)).toBeUndefined()
        expect(state.phase.until - now).toBeLessThanOrEqual(MAX_WAIT)
      } else {
        expect(liveAttempt(state)).toBe(attempt)
      }
      expect((nextTick(state, now) ?? Infinity) - now).toBeLessThanOrEqual(2 * SECOND)
    }
    expect(settle(state, now)).toBe('connected')
    const ended = nextState(state, { kind: 'session-ended' }, now, 0)
    for (const event of EVENTS) expect(nextState(ended, event, now, 0)).toBe(ended)
    expect([liveAttempt(ended), nextTick(ended, now)]).toEqual([undefined, undefined])
  })

  /** The phase after ticks alone, with a service that is up. */
  function settle(from: ConnectionState, since: number): string {
    let [state, now] = [from, since]
    for (let ticks = 0; ticks < 100 && state.phase.kind !== 'connected'; ticks += 1) {
      now = Math.max(now, nextTick(state, now) ?? now)
      state = nextState(state, state.phase.kind === 'starting' ? started : tick, now, 0.5)
    }
    return state.phase.kind
  }
})
