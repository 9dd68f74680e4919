// Keeps the connection in the rooms that were entered. Each new connection has to enter them again.
import type { Failure } from './api'
import { backoff } from './backoff'
import type { DoneResult } from './historyApi'

export interface MembershipOptions {
  readonly enter: (room: string, connectionId: string) => Promise<DoneResult>
  readonly leave: (room: string, connectionId: string) => Promise<DoneResult>
  /** Called when the connection is in a room: its messages arrive from now on. */
  readonly onEntered: (room: string) => void
  /** Called if a room cannot be entered, and will not be tried again. */
  readonly onRefused: (room: string, failure: Failure) => void
}

/** Messages that were said so soon after entering a room may not have arrived. */
const SETTLED_MS = 10_000
/** How long a message may take from the history to the page. */
const ARRIVAL_MS = 5000

export class Membership {
  private readonly rooms = new Set<string>()
  /** When the connection has entered the rooms in which it is, in milliseconds since the epoch. */
  private readonly entered = new Map<string, number>()
  /** The calls under way for each room. They are made one after the other: the last one decides. */
  private readonly calls = new Map<string, Promise<DoneResult>>()
  private readonly retries = new Map<string, ReturnType<typeof setTimeout>>()
  private readonly doubts = new Map<string, ReturnType<typeof setTimeout>>()
  private connectionId: string | undefined

  constructor(private readonly options: MembershipOptions) {}

  /** Enters all rooms with a new connection; `undefined` if there is none. Resolves after the first attempts. */
  async setConnection(connectionId: string | undefined): Promise<void> {
    this.connectionId = connectionId
    this.entered.clear()
    this.calls.clear()
    this.stopTimers()
    await Promise.all([...this.rooms].map(room => this.tryToEnter(room, 0)))
  }

  /** Whether the connection is in a room. */
  isIn(room: string): boolean {
    return this.entered.has(room)
  }

  /** Enters a room now, or when there is a connection. */
  async enter(room: string): Promise<void> {
    if (this.rooms.has(room) && (this.isIn(room) || this.calls.has(room))) return
    this.rooms.add(room)
    await this.tryToEnter(room, 0)
  }

  /** Leaves a room. A failed call is not repeated: the connection gets messages that are ignored, until it ends. */
  leave(room: string): void {
    const { connectionId } = this
    this.forget(room)
    if (connectionId !== undefined) void this.call(room, () => this.options.leave(room, connectionId))
  }

  /** Messages of a room are in its history and have not arrived. Unless one arrives soon, the room is entered again. */
  doubt(room: string): void {
    const since = this.entered.get(room)
    if (since === undefined || Date.now() - since < SETTLED_MS || this.doubts.has(room)) return
    this.doubts.set(room, setTimeout(() => {
      this.doubts.delete(room)
      void this.tryToEnter(room, 0)
    }, ARRIVAL_MS))
  }

  /** A message of a room has arrived. */
  trust(room: string): void {
    stop(this.doubts, room)
  }

  close(): void {
    this.connectionId = undefined
    this.stopTimers()
  }

  private async tryToEnter(room: string, failures: number): Promise<void> {
    const { connectionId } = this
    stop(this.retries, room)
    if (connectionId === undefined) return
    const result = await this.call(room, () => this.options.enter(room, connectionId))
    if (this.connectionId !== connectionId || !this.rooms.has(room)) return
    if (result.kind === 'done') {
      this.entered.set(room, Date.now())
      this.options.onEntered(room)
      return
    }
    const { failure } = result
    // The service may not know a connection yet, or no more: a new one is on its way then.
    if (failure.kind === 'rejected' && !failure.canRetry && failure.code !== 'unknown_connection') {
      this.forget(room)
      this.options.onRefused(room, failure)
    } else if (failure.kind !== 'unauthenticated') {
      const retryAfterMs = failure.kind === 'transient' ? failure.retryAfterMs : undefined
      const delay = Math.max(retryAfterMs ?? 0, backoff(failures + 1, Math.random()))
      stop(this.retries, room)
      this.retries.set(room, setTimeout(() => void this.tryToEnter(room, failures + 1), delay))
    }
  }

  private call(room: string, start: () => Promise<DoneResult>): Promise<DoneResult> {
    const before = this.calls.get(room)
    const call = before === undefined ? start() : before.then(start)
    this.calls.set(room, call)
    void call.finally(() => { if (this.calls.get(room) === call) this.calls.delete(room) })
    return call
  }

  private forget(room: string): void {
    this.rooms.delete(room)
    this.entered.delete(room)
    stop(this.retries, room)
    stop(this.doubts, room)
  }

  private stopTimers(): void {
    for (const timers of [this.retries, this.doubts]) for (const room of [...timers.keys()]) stop(timers, room)
  }
}

function stop(timers: Map<string, ReturnType<typeof setTimeout>>, room: string): void {
  clearTimeout(timers.get(room))
  timers.delete(room)
}
