// Judges by the calls to the API whether messages can be sent. A call without an answer for 3 s says no, and so do two that failed, or one
// without a success for 2 s; a success says yes. After a failure it makes calls of its own, so that none is shown for longer than it lasts.
import { callApi } from './api'
import type { Api, CallObserver, Failure } from './api'
import { backoff } from './backoff'

/** Whether messages can be sent. `slow`: a call has had no answer since then; `failing`: the last call failed. */
export type Sending =
  | { readonly kind: 'working' }
  | { readonly kind: 'slow', readonly since: number }
  | { readonly kind: 'failing', readonly reason: string }

export interface ApiMonitorOptions {
  /** Calls the API through the same observer; its answer does not matter. Must not reject. */
  readonly probe: () => Promise<unknown>
  readonly onSending: (sending: Sending) => void
}

/** How long the answer to a call may take before the API counts as slow. */
export const SLOW_AFTER_MS = 3000

/** How long a single failure may last before it is reported. */
const FAILING_AFTER_MS = 2000

const WORKING: Sending = { kind: 'working' }

export class ApiMonitor implements CallObserver {
  /** When each call under way was started, the oldest first. */
  private readonly pending = new Map<symbol, number>()
  /** The last failure, and since when no call has succeeded. */
  private failure: { readonly reason: string, readonly since: number } | undefined
  private failures = 0
  private reported = WORKING
  private judgeTimer: ReturnType<typeof setTimeout> | undefined
  private probeTimer: ReturnType<typeof setTimeout> | undefined
  private isClosed = false

  constructor(private readonly options: ApiMonitorOptions) {}

  begin(): (failure: Failure | undefined) => void {
    const call = Symbol('call')
    this.pending.set(call, Date.now())
    this.judge()
    return (failure) => {
      // An outcome is told once.
      if (!this.pending.delete(call)) return
      this.handleOutcome(failure)
      this.judge()
    }
  }

  /** Asks now instead of after the current delay. */
  probeNow(): void {
    if (this.probeTimer === undefined) return
    clearTimeout(this.probeTimer)
    this.probe()
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.judgeTimer)
    clearTimeout(this.probeTimer)
  }

  private handleOutcome(failure: Failure | undefined): void {
    // Every other failure is an answer of the API: it can be reached, and refuses this call or this person.
    if (failure?.kind === 'transient' && failure.isRateLimited !== true) {
      this.failure = { reason: failure.reason, since: this.failure?.since ?? Date.now() }
      this.failures += 1
      if (this.isClosed || this.probeTimer !== undefined) return
      this.probeTimer = setTimeout(() => { this.probe() }, Math.max(failure.retryAfterMs ?? 0, backoff(this.failures, Math.random())))
    } else {
      this.failure = undefined
      this.failures = 0
      clearTimeout(this.probeTimer)
      this.probeTimer = undefined
    }
  }

  private probe(): void {
    this.probeTimer = undefined
    void this.options.probe()
  }

  private judge(): void {
    clearTimeout(this.judgeTimer)
    if (this.isClosed) return
    const now = Date.now()
    const [oldest] = this.pending.values()
    const slowAt = oldest === undefined ? Infinity : oldest + SLOW_AFTER_MS
    // A single failure may be one of many calls. It shows what a call that was slow has come to.
    const isShown = this.failures > 1 || this.reported.kind !== 'working'
    const failingAt = this.failure === undefined ? Infinity : isShown ? now : this.failure.since + FAILING_AFTER_MS
    if (this.failure !== undefined && now >= failingAt) this.report({ kind: 'failing', reason: this.failure.reason })
    else if (oldest !== undefined && now >= slowAt) this.report({ kind: 'slow', since: oldest })
    else this.report(WORKING)
    const next = Math.min(...[slowAt, failingAt].filter(time => time > now))
    if (next !== Infinity) this.judgeTimer = setTimeout(() => { this.judge() }, next - now)
  }

  private report(sending: Sending): void {
    const previous = this.reported
    this.reported = sending
    const isSame = sending.kind === 'failing' && previous.kind === 'failing' ? sending.reason === previous.reason : sending.kind === previous.kind
    if (!isSame) this.options.onSending(sending)
  }
}

/** A cheap call that every person may make, for `ApiMonitorOptions.probe`. An API that does not know it answers, too. */
export function probeApi(api: Api): Promise<unknown> {
  return callApi(api, `${api.baseUrl}/api/features`, { method: 'GET' })
}
