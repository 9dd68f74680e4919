// Keeps the page connected: negotiates with the API, then connects to the SignalR service, and repeats both after each failure.
// The client's `withAutomaticReconnect` is not used: it gives up, does not retry a first connect, and cannot be triggered by a user.
import { initialState, liveAttempt, nextState, nextTick } from './connectionState'
import type { ConnectionEvent, ConnectionState, Resumed } from './connectionState'
import type { HubConnection } from './hubConnection'
import { parseMessage } from './message'
import type { Message } from './message'
import { parseRemoval } from './removal'
import type { Removal } from './removal'


/**
 * Whether messages are received. Times are in milliseconds since the epoch. `offline`: the API cannot be reached; `reconnecting`: the
 * SignalR service cannot; `checking`: nothing arrived for too long. These last until the connection is up again. `retryAt` is in the past
 * during an attempt. `canRetryNow`: an earlier attempt may succeed. `lastHeard`: when the last frame arrived, `undefined` before the
 * first connect; of `connected`, the last frame of the connection before: messages since then are missing.
 */
export type Status =
  | { readonly kind: 'connecting', readonly since: number, readonly lastHeard: number | undefined }
  | { readonly kind: 'connected', readonly connectionId: string | undefined, readonly lastHeard: number | undefined }
  | { readonly kind: 'checking', readonly lastHeard: number | undefined }
  | { readonly kind: 'reconnecting', readonly retryAt: number, readonly lastHeard: number | undefined }
  | {
    readonly kind: 'offline'
    readonly retryAt: number
    readonly reason: string
    readonly canRetryNow: boolean
    readonly lastHeard: number | undefined
  }
  | { readonly kind: 'unauthenticated' }

export interface ConnectionOptions {
  /** Creates an unstarted connection; called for each attempt. */
  readonly createConnection: () => HubConnection
  /** Called with each attempt. Without this check, a signed-out user would continue as a guest. */
  readonly isSignedIn: () => Promise<boolean>
  readonly onMessage: (message: Message) => void
  readonly onRemoval?: (removal: Removal) => void
  /** Called when the person has erased the private messages, on this or another device. */
  readonly onErased?: () => void
  readonly onStatus: (status: Status) => void
}

export interface Connection {
  /** Ends the wait before the next attempt, except when the API has refused to negotiate because there were too many attempts. */
  retryNow(): void
  /** The browser says that the device has no network. */
  setOffline(): void
  /** The page is back: checks the connection, or tries again at once unless the API asked for a delay. */
  resume(from: Resumed): void
  /**
   * Expects the own message `id`, which the API has just accepted, within 3 s; otherwise the connection is replaced. For messages that
   * this connection gets: not in a room that it has not entered, and not if the API said that the message was not carried.
   */
  expectEcho(id: string): void
  /** Disconnects because the user has to sign in again. */
  endSession(): void
  /** Disconnects for good. */
  close(): void
}

/** The echo of a message often arrives before the answer to its call, so this number of ids is remembered. */
const MAX_RECENT_IDS = 1000

/** Connects, and reconnects until it is closed or the API requires a sign-in. */
export function connect({ createConnection, isSignedIn, onMessage, onRemoval, onErased, onStatus }: ConnectionOptions): Connection {
  let state = initialState(Date.now())
  /** The connection in use, started or starting, and the number of its attempt. */
  let hub: HubConnection | undefined
  let hubAttempt: number | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const recentIds = new Set<string>()

  const dispatch = (event: ConnectionEvent) => {
    const previous = state
    state = nextState(previous, event, Date.now(), Math.random())
    if (liveAttempt(state) !== hubAttempt) replaceHub()
    // A frame makes nothing due earlier.
    if (event.kind !== 'heard') planTick()
    const status = toStatus(state, previous)
    if (status !== undefined) onStatus(status)
  }

  const planTick = () => {
    clearTimeout(timer)
    const now = Date.now()
    const tick = nextTick(state, now)
    timer = tick === undefined ? undefined : setTimeout(() => { dispatch({ kind: 'tick' }) }, Math.max(0, tick - now))
  }

  const replaceHub = () => {
    const previous = hub
    hub = undefined
    hubAttempt = liveAttempt(state)
    // Not awaited: a dead connection may never complete its close.
    previous?.stop().catch(() => undefined)
    if (hubAttempt !== undefined) void start(hubAttempt)
  }

  const start = async (attempt: number) => {
    const current = createConnection()
    hub = current
    const isCurrent = () => hubAttempt === attempt
    const ifCurrent = (event: ConnectionEvent) => {
      if (isCurrent()) dispatch(event)
    }
    current.onFrame(() => { ifCurrent({ kind: 'heard' }) })
    current.on('newMessage', (raw) => {
      const message = isCurrent() ? parseMessage(raw) : undefined
      if (message !== undefined) receive(message)
    })
    current.on('messageRemoved', (raw) => {
      const removal = isCurrent() ? parseRemoval(raw) : undefined
      if (removal !== undefined) onRemoval?.(removal)
    })
    current.on('historyErased', () => { if (isCurrent()) onErased?.() })
    current.onclose(() => { ifCurrent({ kind: 'closed' }) })
    const [started, signedIn] = await Promise.all([current.start().then(() => true, () => false), isSignedIn()])
    if (!signedIn || current.negotiateFailure?.kind === 'unauthenticated') ifCurrent({ kind: 'session-ended' })
    else if (!started) ifCurrent({ kind: 'failed', failure: current.negotiateFailure })
    else ifCurrent(current.hasOldSession ? { kind: 'outdated' } : { kind: 'started', connectionId: current.connectionId })
  }

  const receive = (message: Message) => {
    recentIds.add(message.id)
    if (recentIds.size > MAX_RECENT_IDS) removeOldest(recentIds)
    if (state.phase.kind === 'connected' && state.phase.echoes.has(message.id)) dispatch({ kind: 'echo', id: message.id })
    onMessage(message)
  }

  onStatus(describe(state))
  replaceHub()
  planTick()
  return {
    retryNow: () => { dispatch({ kind: 'retry-now' }) },
    setOffline: () => { dispatch({ kind: 'offline' }) },
    resume: (from) => { dispatch({ kind: 'resumed', from }) },
    expectEcho: (id) => {
      dispatch(recentIds.has(id) ? { kind: 'echo', id } : { kind: 'echo-expected', id })
    },
    endSession: () => { dispatch({ kind: 'session-ended' }) },
    close: () => { dispatch({ kind: 'close' }) },
  }
}

/** The status to report after a change from `previous`; `undefined` if it is the same. */
function toStatus(state: ConnectionState, previous: ConnectionState): Status | undefined {
  if (state.phase.kind === 'ended') {
    return state.phase.reason === 'signed-out' && previous.phase.kind !== 'ended' ? { kind: 'unauthenticated' } : undefined
  }
  const isSame = state.phase.kind === previous.phase.kind && state.attempt === previous.attempt
  if (isSame) return undefined
  return describe(state, previous.lastHeard)
}

/** `gapStart`: the time of the last frame of the connection before. */
function describe({ phase, trouble, lastHeard, unconnectedSince, clock }: ConnectionState, gapStart?: number): Status {
  if (phase.kind === 'ended') return { kind: 'unauthenticated' }
  if (phase.kind === 'connected') return { kind: 'connected', connectionId: phase.connectionId, lastHeard: gapStart }
  const retryAt = phase.kind === 'waiting' ? phase.until : clock
  switch (trouble.kind) {
    case 'none':
      return { kind: 'connecting', since: unconnectedSince, lastHeard }
    case 'silence':
      return { kind: 'checking', lastHeard }
    case 'service':
      return { kind: 'reconnecting', retryAt, lastHeard }
    case 'api':
      return { kind: 'offline', retryAt, reason: trouble.reason, canRetryNow: !trouble.isRateLimited, lastHeard }
  }
}

function removeOldest(ids: Set<string>): void {
  for (const id of ids) {
    ids.delete(id)
    return
  }
}
