// The states of the connection and the transitions between them, without I/O, clock and timers. `connection.ts` carries them out.
// Times are in milliseconds since the epoch.
import type { Failure } from './api'
import { backoff } from './backoff'

export interface ConnectionState {
  readonly phase: Phase
  /** Number of the newest attempt to connect. */
  readonly attempt: number
  /** Failed attempts and short connections in a row. */
  readonly failures: number
  /** When the last frame of any connection arrived; `undefined` before the first connect. */
  readonly lastHeard: number | undefined
  /** Since when there is no connection; without meaning while there is one. */
  readonly unconnectedSince: number
  /** Why there is no connection; kept until there is one again. */
  readonly trouble: Trouble
  /** How many own messages in a row did not come back. */
  readonly missedEchoes: number
  /** The time of the last event. */
  readonly clock: number
}

export type Phase =
  | { readonly kind: 'starting', readonly since: number }
  /** `echoes`: until when each own message has to come back. */
  | { readonly kind: 'connected', readonly since: number, readonly connectionId: string | undefined, readonly echoes: ReadonlyMap<string, number> }
  /** The next attempt is at `until`, and not before `notBefore`, which the API asked for. */
  | { readonly kind: 'waiting', readonly until: number, readonly notBefore: number }
  | { readonly kind: 'ended', readonly reason: 'signed-out' | 'closed' }

/** `silence`: nothing arrives although there is a connection. `service`: the SignalR service cannot be reached. `api`: the API cannot. */
export type Trouble =
  | { readonly kind: 'none' | 'silence' | 'service' }
  | { readonly kind: 'api', readonly reason: string, readonly isRateLimited: boolean }

export type ConnectionEvent =
  | { readonly kind: 'started', readonly connectionId: string | undefined }
  /** The connection was negotiated with a session that has been renewed since. */
  | { readonly kind: 'outdated' }
  | { readonly kind: 'failed', readonly failure: Failure | undefined }
  | { readonly kind: 'closed' | 'heard' | 'tick' }
  /** An own message was accepted, and has to come back through the connection. */
  | { readonly kind: 'echo-expected', readonly id: string }
  | { readonly kind: 'echo', readonly id: string }
  /** The browser says that the device has no network. */
  | { readonly kind: 'offline' }
  | { readonly kind: 'resumed', readonly from: Resumed }
  | { readonly kind: 'retry-now' | 'session-ended' | 'close' }

/** What the page comes back from: no network, a hidden tab, a frozen one, or the back/forward cache. */
export type Resumed = 'offline' | 'hidden' | 'frozen' | 'cached'

/** The service sends a ping after 15 s without another frame (`KeepAliveInterval`). */
export const KEEP_ALIVE_INTERVAL_MS = 15_000
/** How late a frame may be before the connection is suspect. */
export const LATE_MS = 3000
const SILENCE_TIMEOUT_MS = KEEP_ALIVE_INTERVAL_MS + LATE_MS
/** After this number of own messages in a row that did not come back, this chat seems to send none back, and that says nothing. */
const MAX_MISSED_ECHOES = 2
/** Longer than the service's handshake time-out of 15 s. */
const START_TIMEOUT_MS = 20_000
/** A connection that closes sooner counts as a failed attempt. */
const STABLE_AFTER_MS = 10_000
/** A younger attempt is not replaced when the page comes back. */
const FRESH_ATTEMPT_MS = 1000
/** Timers stand still while a computer sleeps, so the time is looked at as often as this. */
const TICK_INTERVAL_MS = 2000
/** How long a page that stood still has to handle what has arrived. */
const RECOVERY_MS = 1000

/** The state at the start of the first attempt. */
export function initialState(now: number): ConnectionState {
  return {
    phase: { kind: 'starting', since: now },
    attempt: 1,
    failures: 0,
    lastHeard: undefined,
    unconnectedSince: now,
    trouble: { kind: 'none' },
    missedEchoes: 0,
    clock: now,
  }
}

/** The number of the attempt whose connection is in use, started or starting. There is at most one. */
export function liveAttempt({ phase, attempt }: ConnectionState): number | undefined {
  return phase.kind === 'starting' || phase.kind === 'connected' ? attempt : undefined
}

/** When the next `tick` has to come; `undefined` at the end. */
export function nextTick({ phase, lastHeard = 0 }: ConnectionState, now: number): number | undefined {
  const latest = now + TICK_INTERVAL_MS
  switch (phase.kind) {
    case 'starting':
      return Math.min(latest, phase.since + START_TIMEOUT_MS)
    case 'connected':
      return Math.min(latest, lastHeard + SILENCE_TIMEOUT_MS, ...phase.echoes.values())
    case 'waiting':
      return Math.min(latest, phase.until)
    case 'ended':
      return undefined
  }
}

/**
 * The state after `event`. Events of a connection are of the one in use: the caller drops those of earlier ones. `random` is in [0, 1).
 */
export function nextState(state: ConnectionState, event: ConnectionEvent, now: number, random: number): ConnectionState {
  if (state.phase.kind === 'ended') return state
  const next = transition(state, event, now, random)
  const isLost = state.phase.kind === 'connected' && next.phase.kind !== 'connected'
  return { ...next, clock: now, unconnectedSince: isLost ? now : next.unconnectedSince }
}

function transition(state: ConnectionState, event: ConnectionEvent, now: number, random: number): ConnectionState {
  const { phase } = state
  switch (event.kind) {
    case 'started':
      if (phase.kind !== 'starting') return state
      return {
        ...state,
        phase: { kind: 'connected', since: now, connectionId: event.connectionId, echoes: new Map() },
        lastHeard: now,
        trouble: { kind: 'none' },
      }
    case 'outdated':
      return liveAttempt(state) === undefined ? state : begin(state, now)
    case 'failed':
      return phase.kind === 'starting' ? waitAfter(state, event.failure, now, random) : state
    case 'closed':
    case 'offline':
      return liveAttempt(state) === undefined ? state : waitAfter(resetIfStable(state, now), undefined, now, random)
    case 'heard':
      return phase.kind === 'connected' ? { ...state, lastHeard: now } : state
    case 'echo-expected':
      return phase.kind === 'connected' ? { ...state, phase: { ...phase, echoes: new Map(phase.echoes).set(event.id, now + LATE_MS) } } : state
    case 'echo':
      return phase.kind === 'connected' ? { ...state, phase: { ...phase, echoes: without(phase.echoes, event.id) }, missedEchoes: 0 } : state
    case 'tick':
      // The clock was set back: all times in the state are wrong.
      if (now < state.clock - LATE_MS) return phase.kind === 'connected' ? suspect(state, now, random) : begin(state, now)
      return afterTime(state, now, random)
    case 'resumed':
      return resume(state, event.from, now, random)
    case 'retry-now':
      if (phase.kind !== 'waiting' || (state.trouble.kind === 'api' && state.trouble.isRateLimited)) return state
      return begin(state, now)
    case 'session-ended':
      return { ...state, phase: { kind: 'ended', reason: 'signed-out' } }
    case 'close':
      return { ...state, phase: { kind: 'ended', reason: 'closed' } }
  }
}

/** What is due at `now`. */
function afterTime(state: ConnectionState, now: number, random: number): ConnectionState {
  const { phase } = state
  switch (phase.kind) {
    case 'starting':
      return now >= phase.since + START_TIMEOUT_MS ? waitAfter(state, undefined, now, random) : state
    case 'waiting':
      return now >= phase.until ? begin(state, now) : state
    case 'connected': {
      if (isSilent(state, now)) return suspect(state, now, random)
      if (![...phase.echoes.values()].some(until => now >= until)) return state
      if (now - state.clock > 2 * TICK_INTERVAL_MS) {
        // The page was busy or stood still: frames that have arrived meanwhile are handled first.
        const echoes = [...phase.echoes].map(([id, until]) => [id, Math.max(until, now + RECOVERY_MS)] as const)
        return { ...state, phase: { ...phase, echoes: new Map(echoes) } }
      }
      const missed = { ...state, missedEchoes: state.missedEchoes + 1 }
      if (missed.missedEchoes <= MAX_MISSED_ECHOES) return suspect(missed, now, random)
      return { ...missed, phase: { ...phase, echoes: new Map() } }
    }
    case 'ended':
      return state
  }
}

function resume(state: ConnectionState, from: Resumed, now: number, random: number): ConnectionState {
  const { phase } = state
  switch (phase.kind) {
    case 'starting':
      // An attempt from before may wait for a network that is no longer there.
      return from !== 'hidden' && now - phase.since >= FRESH_ATTEMPT_MS ? begin(state, now) : state
    case 'connected':
      // Browsers close the connections of a page in the back/forward cache, and do not all say so.
      return from === 'cached' || isSilent(state, now) ? suspect(state, now, random) : state
    case 'waiting':
      return now >= phase.notBefore ? begin(state, now) : state
    case 'ended':
      return state
  }
}

function isSilent({ lastHeard = 0 }: ConnectionState, now: number): boolean {
  return now - lastHeard >= SILENCE_TIMEOUT_MS
}

/** Replaces a connection that may be dead: at once, but later if the last ones were short. */
function suspect(state: ConnectionState, now: number, random: number): ConnectionState {
  const steady = { ...resetIfStable(state, now), trouble: { kind: 'silence' } } as const
  return steady.failures === 0 ? begin({ ...steady, failures: 1 }, now) : waitAfter(steady, undefined, now, random)
}

function begin(state: ConnectionState, now: number): ConnectionState {
  return { ...state, phase: { kind: 'starting', since: now }, attempt: state.attempt + 1 }
}

function waitAfter(state: ConnectionState, failure: Failure | undefined, now: number, random: number): ConnectionState {
  const failures = state.failures + 1
  const retryAfterMs = failure?.kind === 'transient' ? failure.retryAfterMs : undefined
  const until = now + Math.max(retryAfterMs ?? 0, backoff(failures, random))
  // A first failure is usually short, such as a connection that the service closes when its token expires.
  const isReported = failures > 1 || retryAfterMs !== undefined
  return {
    ...state,
    phase: { kind: 'waiting', until, notBefore: now + (retryAfterMs ?? 0) },
    failures,
    trouble: isReported ? troubleOf(failure) : state.trouble,
  }
}

function troubleOf(failure: Failure | undefined): Trouble {
  if (failure === undefined || failure.kind === 'unauthenticated') return { kind: 'service' }
  return { kind: 'api', reason: failure.reason, isRateLimited: failure.kind === 'transient' && failure.isRateLimited === true }
}

function resetIfStable(state: ConnectionState, now: number): ConnectionState {
  return state.phase.kind === 'connected' && now - state.phase.since >= STABLE_AFTER_MS ? { ...state, failures: 0 } : state
}

function without(echoes: ReadonlyMap<string, number>, id: string): ReadonlyMap<string, number> {
  const rest = new Map(echoes)
  rest.delete(id)
  return rest
}
