// Messages on their way out, one at a time and in order. What may work later is tried again by itself; what may not, waits for
// the person. A message leaves the box only when it is known to be published, or when its author takes it back.
import type { Failure } from './api'
import { backoff } from './backoff'
import type { Draft, Message } from './message'

/** How one's own message stands. `unsent` says why, and whether it goes by itself (`soon`), by hand, or only after a change. */
export type Delivery =
  | { readonly kind: 'sending' }
  | { readonly kind: 'sent' }
  | { readonly kind: 'unsent', readonly why: string, readonly next: 'soon' | 'by-hand' | 'change' }

export type PostResult = { kind: 'published', message: Message } | { kind: 'failed', failure: Failure }

export interface OutboxOptions {
  readonly post: (draft: Draft) => Promise<PostResult>
  readonly onDelivery: (id: string, delivery: Delivery) => void
  readonly onPublished: (id: string, message: Message) => void
  readonly onUnauthenticated: () => void
  /** Called whenever the set of unsent messages changed, to keep it over a reload. */
  readonly onChange: (unsent: readonly Draft[]) => void
}

/** More than this many unsent messages are refused while they are still in the composer. */
export const MAX_UNSENT = 100

export class Outbox {
  /** Waiting for their turn, the first one possibly in flight. */
  private readonly queue: Draft[] = []
  /** Out of the queue until their author does something. */
  private readonly parked: Draft[] = []
  private inFlight: string | undefined
  private failures = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  /** The wait is one that the API asked for. */
  private asked = false
  private closed = false
  /** How a message stands that waits behind one whose last try failed. */
  private waiting: Delivery = { kind: 'sending' }

  constructor(private readonly options: OutboxOptions) {}

  /** Takes a message; false when the box is full. */
  add(draft: Draft): boolean {
    if (this.queue.length + this.parked.length >= MAX_UNSENT) return false
    this.queue.push(draft)
    this.options.onDelivery(draft.id, this.timer === undefined ? { kind: 'sending' } : this.waiting)
    this.changed()
    this.pump()
    return true
  }

  /** Tries again, now: a parked message goes to the end of the queue, a queued one makes the queue hurry. */
  again(id: string): void {
    const draft = remove(this.parked, id)
    if (draft !== undefined) this.queue.push(draft)
    if (!this.queue.some(queued => queued.id === id)) return
    this.asked = false
    this.hurry()
  }

  /** Tries the queue now instead of waiting for the next turn, unless the API itself named the time. */
  hurry(): void {
    if (this.inFlight !== undefined || this.asked) return
    clearTimeout(this.timer)
    this.timer = undefined
    for (const { id } of this.queue) this.options.onDelivery(id, { kind: 'sending' })
    this.pump()
  }

  /** Takes a message out: its author wants to change it, or it turned out to be published. */
  take(id: string): Draft | undefined {
    const draft = remove(this.parked, id) ?? remove(this.queue, id)
    if (draft !== undefined) this.changed()
    return draft
  }

  /** Sends nothing more. What is unsent stays kept wherever `onChange` put it. */
  close(): void {
    this.closed = true
    clearTimeout(this.timer)
  }

  private pump(): void {
    const draft = this.queue[0]
    if (draft === undefined || this.closed || this.inFlight !== undefined || this.timer !== undefined) return
    this.inFlight = draft.id
    // A retry by itself keeps saying why the last try failed, instead of flickering between two states.
    if (this.failures === 0) this.options.onDelivery(draft.id, { kind: 'sending' })
    void this.options.post(draft).then((result) => {
      this.inFlight = undefined
      if (this.closed) return
      if (result.kind === 'published') this.published(draft, result.message)
      else this.failed(draft, result.failure)
      this.pump()
    })
  }

  private published(draft: Draft, message: Message): void {
    this.failures = 0
    remove(this.queue, draft.id)
    this.changed()
    this.options.onPublished(draft.id, message)
  }

  private failed(draft: Draft, failure: Failure): void {
    switch (failure.kind) {
      case 'refused':
        this.failures = 0
        if (remove(this.queue, draft.id) === undefined) return
        this.parked.push(draft)
        this.options.onDelivery(draft.id, { kind: 'unsent', why: failure.why, next: failure.again ? 'by-hand' : 'change' })
        return
      case 'unauthenticated':
        for (const queued of this.queue.splice(0)) {
          this.parked.push(queued)
          this.options.onDelivery(queued.id, { kind: 'unsent', why: 'you are not signed in.', next: 'by-hand' })
        }
        this.options.onUnauthenticated()
        return
      case 'later':
        this.failures += 1
        this.waiting = { kind: 'unsent', why: failure.why, next: 'soon' }
        for (const { id } of this.queue) this.options.onDelivery(id, this.waiting)
        this.asked = failure.afterMs !== undefined
        this.timer = setTimeout(() => {
          this.timer = undefined
          this.asked = false
          this.pump()
        }, Math.max(failure.afterMs ?? 0, backoff(this.failures, Math.random())))
    }
  }

  private changed(): void {
    this.options.onChange([...this.queue, ...this.parked])
  }
}

function remove(drafts: Draft[], id: string): Draft | undefined {
  const at = drafts.findIndex(draft => draft.id === id)
  return at === -1 ? undefined : drafts.splice(at, 1)[0]
}
