// Sends the user's messages one at a time and in order. Transient failures are retried automatically; other failures wait for
// the user. A message is removed when it is published or when the user takes it back.
import type { Failure } from './api'
import { backoff } from './backoff'
import type { Draft, Message } from './message'

/** State of an own message. `next` tells what happens to an unsent one: it is retried, waits for a retry, or must be edited. */
export type Delivery =
  | { readonly kind: 'sending' }
  | { readonly kind: 'sent' }
  | { readonly kind: 'unsent', readonly reason: string, readonly next: 'automatic-retry' | 'manual-retry' | 'edit' }

export type PostResult = { kind: 'published', message: Message } | { kind: 'failed', failure: Failure }

export interface OutboxOptions {
  readonly post: (draft: Draft) => Promise<PostResult>
  readonly onDelivery: (id: string, delivery: Delivery) => void
  readonly onPublished: (id: string, message: Message) => void
  readonly onUnauthenticated: () => void
  /** Called when the set of unsent messages has changed. */
  readonly onChange: (unsent: readonly Draft[]) => void
}

export const MAX_UNSENT = 100

export class Outbox {
  /** Messages to send; the first one may be in flight. */
  private readonly queue: Draft[] = []
  /** Messages that wait for the user. */
  private readonly failed: Draft[] = []
  private inFlight: string | undefined
  private failures = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  /** Whether `timer` waits as long as the API asked for. */
  private hasRetryAfter = false
  private isClosed = false
  /** State of the messages in the queue while `timer` runs. */
  private waiting: Delivery = { kind: 'sending' }

  constructor(private readonly options: OutboxOptions) {}

  /** Adds a message; returns false if there are `MAX_UNSENT` messages already. */
  add(draft: Draft): boolean {
    if (this.queue.length + this.failed.length >= MAX_UNSENT) return false
    this.queue.push(draft)
    this.options.onDelivery(draft.id, this.timer === undefined ? { kind: 'sending' } : this.waiting)
    this.notifyChange()
    this.sendNext()
    return true
  }

  /** Retries at the user's request: a failed message goes to the end of the queue, and the queue is sent now. */
  retry(id: string): void {
    const draft = removeById(this.failed, id)
    if (draft !== undefined) this.queue.push(draft)
    if (!this.queue.some(queued => queued.id === id)) return
    this.hasRetryAfter = false
    this.retryNow()
  }

  /** Sends the queue now instead of after the current delay, unless the API asked for that delay. */
  retryNow(): void {
    if (this.inFlight !== undefined || this.hasRetryAfter) return
    clearTimeout(this.timer)
    this.timer = undefined
    for (const { id } of this.queue) this.options.onDelivery(id, { kind: 'sending' })
    this.sendNext()
  }

  /** Removes a message, to be edited or because it turned out to be published. */
  take(id: string): Draft | undefined {
    const draft = removeById(this.failed, id) ?? removeById(this.queue, id)
    if (draft !== undefined) this.notifyChange()
    return draft
  }

  /** Stops sending. */
  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
  }

  private sendNext(): void {
    const draft = this.queue[0]
    if (draft === undefined || this.isClosed || this.inFlight !== undefined || this.timer !== undefined) return
    this.inFlight = draft.id
    // During an automatic retry the last reason stays visible.
    if (this.failures === 0) this.options.onDelivery(draft.id, { kind: 'sending' })
    void this.options.post(draft).then((result) => {
      this.inFlight = undefined
      if (this.isClosed) return
      if (result.kind === 'published') this.handlePublished(draft, result.message)
      else this.handleFailure(draft, result.failure)
      this.sendNext()
    })
  }

  private handlePublished(draft: Draft, message: Message): void {
    this.failures = 0
    removeById(this.queue, draft.id)
    this.notifyChange()
    this.options.onPublished(draft.id, message)
  }

  private handleFailure(draft: Draft, failure: Failure): void {
    switch (failure.kind) {
      case 'rejected':
        this.failures = 0
        if (removeById(this.queue, draft.id) === undefined) return
        this.failed.push(draft)
        this.options.onDelivery(draft.id, { kind: 'unsent', reason: failure.reason, next: failure.canRetry ? 'manual-retry' : 'edit' })
        return
      case 'unauthenticated':
        for (const queued of this.queue.splice(0)) {
          this.failed.push(queued)
          this.options.onDelivery(queued.id, { kind: 'unsent', reason: 'you are not signed in.', next: 'manual-retry' })
        }
        this.options.onUnauthenticated()
        return
      case 'transient':
        this.failures += 1
        this.waiting = { kind: 'unsent', reason: failure.reason, next: 'automatic-retry' }
        for (const { id } of this.queue) this.options.onDelivery(id, this.waiting)
        this.hasRetryAfter = failure.retryAfterMs !== undefined
        this.timer = setTimeout(() => {
          this.timer = undefined
          this.hasRetryAfter = false
          this.sendNext()
        }, Math.max(failure.retryAfterMs ?? 0, backoff(this.failures, Math.random())))
    }
  }

  private notifyChange(): void {
    this.options.onChange([...this.queue, ...this.failed])
  }
}

function removeById(drafts: Draft[], id: string): Draft | undefined {
  const at = drafts.findIndex(draft => draft.id === id)
  return at === -1 ? undefined : drafts.splice(at, 1)[0]
}
