// Sends the user's messages one at a time and in order. Transient failures are retried automatically; other failures wait for
// the user. A message is removed when it is published or when the user takes it back.
import type { Failure, TransientFailure } from './api'
import { SLOW_AFTER_MS } from './apiMonitor'
import { backoff } from './backoff'
import type { Draft, Message } from './message'

/**
 * State of an own message. `next` tells what happens to an unsent one: it is retried, waits for a retry, or must be edited.
 * `paused`: it is sent when the API accepts messages of this person again.
 */
export type Delivery =
  | { readonly kind: 'sending' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'sent', readonly recipientOnline?: boolean | undefined }
  | { readonly kind: 'unsent', readonly reason: string, readonly next: 'automatic-retry' | 'manual-retry' | 'edit' }

/** A message as published. `recipientOnline` is known for private messages only, and not for all of them. */
export interface Published {
  readonly kind: 'published'
  readonly message: Message
  readonly recipientOnline?: boolean | undefined
  /** `false`: it is in the history, and was not carried to the people who are connected; `undefined`: not known. */
  readonly isLive?: boolean | undefined
}

export type PostResult = Published | { readonly kind: 'failed', readonly failure: Failure }

export interface OutboxOptions {
  readonly post: (draft: Draft) => Promise<PostResult>
  /**
   * Looks for a message that may have been published, before it is sent again, and takes it from the outbox if it was. Otherwise, also if
   * this rejects, it is sent with the same id, by which readers drop the second one.
   */
  readonly find?: (draft: Draft) => Promise<void>
  readonly onDelivery: (id: string, delivery: Delivery) => void
  readonly onPublished: (id: string, published: Published) => void
  readonly onUnauthenticated: () => void
  /**
   * Called with the time until which the API accepts no message of this person, in milliseconds since the epoch, and with
   * `undefined` when it is over. The limit is per person, so the messages of all conversations wait.
   */
  readonly onPause: (until: number | undefined) => void
  /**
   * Called with the reason when messages cannot be sent just now: an attempt got no answer for long, or two failed. Called with
   * `undefined` when one is published, or none waits.
   */
  readonly onFailing?: (reason: string | undefined) => void
  /** Called when the set of unsent messages has changed. */
  readonly onChange: (unsent: readonly Draft[]) => void
}

export const MAX_UNSENT = 100

/** The result for a message that is not in the queue any more; it is not shown. */
const TAKEN_BACK: Failure = { kind: 'rejected', status: 0, reason: '', canRetry: false }

export class Outbox {
  /** Messages to send; the first one may be in flight. */
  private readonly queue: Draft[] = []
  /** Messages that wait for the user. */
  private readonly failed: Draft[] = []
  /** Ids of messages that may have been published: the answer to a call did not come, or did not say. */
  private readonly uncertain = new Set<string>()
  private inFlight: string | undefined
  private failures = 0
  private attemptedAt = 0
  /** What `onFailing` was called with. */
  private failing: string | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  /** What the API asked for, while `timer` waits for it. */
  private asked: 'nothing' | 'delay' | 'pause' = 'nothing'
  /** Whether the last response was that this person sends too fast. */
  private isPaused = false
  private isClosed = false
  /** State of the messages in the queue while `timer` runs. */
  private waiting: Delivery = { kind: 'sending' }

  constructor(private readonly options: OutboxOptions) {}

  /**
   * Adds a message; returns false if there are `MAX_UNSENT` messages already. `mayBePublished`: it comes from an earlier load of the
   * page, which may have sent it.
   */
  add(draft: Draft, mayBePublished = false): boolean {
    if (this.queue.length + this.failed.length >= MAX_UNSENT) return false
    if (mayBePublished) this.uncertain.add(draft.id)
    this.queue.push(draft)
    this.options.onDelivery(draft.id, this.timer === undefined ? { kind: 'sending' } : this.waiting)
    this.notifyChange()
    this.sendNext()
    return true
  }

  /**
   * Retries at the user's request: a failed message goes to the end of the queue, and the queue is sent now, even if the API asked
   * for a delay. It is not sent during a pause, which would only be refused again.
   */
  retry(id: string): void {
    const draft = removeById(this.failed, id)
    if (draft !== undefined) this.queue.push(draft)
    if (!this.queue.some(queued => queued.id === id)) return
    if (this.asked === 'pause') this.options.onDelivery(id, this.waiting)
    else this.endWait()
  }

  /** Sends the queue now instead of after the current delay, unless the API asked for that delay. */
  retryNow(): void {
    if (this.asked === 'nothing') this.endWait()
  }

  /** Removes a message, to be edited or because it turned out to be published. */
  take(id: string): Draft | undefined {
    const draft = removeById(this.failed, id) ?? removeById(this.queue, id)
    this.uncertain.delete(id)
    if (draft !== undefined) this.notifyChange()
    if (this.queue.length === 0) this.setFailing(undefined)
    return draft
  }

  /** Stops sending. */
  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
  }

  private endWait(): void {
    if (this.inFlight !== undefined) return
    clearTimeout(this.timer)
    this.timer = undefined
    this.asked = 'nothing'
    for (const { id } of this.queue) this.options.onDelivery(id, { kind: 'sending' })
    this.sendNext()
  }

  private sendNext(): void {
    const draft = this.queue[0]
    if (draft === undefined || this.isClosed || this.inFlight !== undefined || this.timer !== undefined) return
    this.inFlight = draft.id
    this.attemptedAt = Date.now()
    // During an automatic retry the last reason stays visible.
    if (this.failures === 0) this.options.onDelivery(draft.id, { kind: 'sending' })
    void this.postOrFind(draft).then((result) => {
      this.inFlight = undefined
      if (this.isClosed) return
      if (result.kind === 'published' || result.failure.kind !== 'transient' || !result.failure.isRateLimited) this.setPause(undefined)
      if (result.kind === 'published') this.handlePublished(draft, result)
      else this.handleFailure(draft, result.failure)
      this.sendNext()
    })
  }

  private async postOrFind(draft: Draft): Promise<PostResult> {
    if (this.options.find !== undefined && this.uncertain.has(draft.id)) {
      await this.options.find(draft).catch(() => undefined)
      // It was found or taken back, or the page was closed meanwhile.
      if (this.isClosed || !this.queue.includes(draft)) return { kind: 'failed', failure: TAKEN_BACK }
    }
    return this.options.post(draft)
  }

  private handlePublished(draft: Draft, published: Published): void {
    this.failures = 0
    this.setFailing(undefined)
    this.uncertain.delete(draft.id)
    removeById(this.queue, draft.id)
    this.notifyChange()
    this.options.onPublished(draft.id, published)
  }

  private handleFailure(draft: Draft, failure: Failure): void {
    switch (failure.kind) {
      case 'rejected':
        this.failures = 0
        this.setFailing(undefined)
        if (removeById(this.queue, draft.id) === undefined) return
        this.failed.push(draft)
        this.options.onDelivery(draft.id, { kind: 'unsent', reason: failure.reason, next: failure.canRetry ? 'manual-retry' : 'edit' })
        return
      case 'unauthenticated':
        for (const queued of this.queue.splice(0)) {
          this.failed.push(queued)
          this.options.onDelivery(queued.id, { kind: 'unsent', reason: 'you are not signed in.', next: 'manual-retry' })
        }
        this.setFailing(undefined)
        this.options.onUnauthenticated()
        return
      case 'transient':
        this.failures += 1
        // A later refusal says nothing about an earlier attempt.
        if (failure.mayBeDone === true) this.uncertain.add(draft.id)
        // A single failure may be one of many calls.
        if (failure.isRateLimited !== true && (this.failures > 1 || Date.now() - this.attemptedAt >= SLOW_AFTER_MS)) this.setFailing(failure.reason)
        this.wait(failure, Math.max(failure.retryAfterMs ?? 0, backoff(this.failures, Math.random())))
    }
  }

  /** Keeps the queue for `delay` milliseconds. */
  private wait({ reason, retryAfterMs, isRateLimited = false }: TransientFailure, delay: number): void {
    this.asked = isRateLimited ? 'pause' : retryAfterMs === undefined ? 'nothing' : 'delay'
    this.waiting = isRateLimited ? { kind: 'paused' } : { kind: 'unsent', reason, next: 'automatic-retry' }
    for (const { id } of this.queue) this.options.onDelivery(id, this.waiting)
    if (isRateLimited) this.setPause(Date.now() + delay)
    this.timer = setTimeout(() => {
      this.timer = undefined
      this.asked = 'nothing'
      if (this.queue.length === 0) this.setPause(undefined)
      this.sendNext()
    }, delay)
  }

  private setFailing(reason: string | undefined): void {
    if (reason === this.failing) return
    this.failing = reason
    this.options.onFailing?.(reason)
  }

  private setPause(until: number | undefined): void {
    if (until === undefined && !this.isPaused) return
    this.isPaused = until !== undefined
    this.options.onPause(until)
  }

  private notifyChange(): void {
    this.options.onChange([...this.queue, ...this.failed])
  }
}

function removeById(drafts: Draft[], id: string): Draft | undefined {
  const at = drafts.findIndex(draft => draft.id === id)
  return at === -1 ? undefined : drafts.splice(at, 1)[0]
}
