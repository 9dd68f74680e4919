// The state of one thread, and the immutable value that the page shows of it. Pure: no I/O and no clock.
import { BEGINNING } from './coverage'
import type { Audience, Message } from './message'
import { Stream } from './stream'
import type { ReadMark } from './stream'
import type { LoadState, Older, Thread } from './thread'

/** The same objects each time, so that the page sees only changes. */
const OLDER: Readonly<Record<'none' | 'lost' | 'beginning' | LoadState, Older>> = {
  none: { kind: 'none' },
  lost: { kind: 'lost' },
  beginning: { kind: 'beginning' },
  idle: { kind: 'more', state: 'idle' },
  loading: { kind: 'more', state: 'loading' },
  failed: { kind: 'more', state: 'failed' },
}

export class ThreadState {
  readonly stream = new Stream()
  /** Another one after all that was read was dropped. */
  epoch = Symbol('epoch')
  private typed = ''
  private arrived = 0
  private older: LoadState = 'idle'
  /** Whether older messages were there and are no longer kept. */
  private isLost = false
  /** Where the new messages begin, kept after reading. */
  private firstUnread: string | undefined
  private snapshot: Thread | undefined

  /** `mark` is `undefined` until it is known where the history ended when the thread was first seen. */
  constructor(readonly key: string, readonly audience: Audience, private hasHistory: boolean, private mark: ReadMark | undefined) {}

  /** What the page shows; the same object until something changes. */
  get thread(): Thread {
    this.snapshot ??= this.takeSnapshot()
    return this.snapshot
  }

  /** How far the thread was read, to be kept for the next visit. */
  get readPosition(): string | undefined {
    return this.hasHistory ? this.mark?.position : undefined
  }

  /** Whether a thread would lose text of the person if it were dropped. */
  get hasUnsentText(): boolean {
    return this.typed !== '' || this.stream.hasUnsent
  }

  /** Changes the stream. */
  change(work: (stream: Stream) => void): void {
    work(this.stream)
    this.snapshot = undefined
  }

  /** Says whether the thread has a history. What was read before that stays read. */
  setHistory(hasHistory: boolean): void {
    this.hasHistory = hasHistory
    if (hasHistory) this.stream.dropGaps()
    else this.mark ??= { position: '', sequence: 0 }
    this.snapshot = undefined
  }

  setTyped(typed: string): void {
    this.typed = typed
    this.snapshot = undefined
  }

  setOlder(older: LoadState): void {
    this.older = older
    this.snapshot = undefined
  }

  /** Adds a message that has just arrived; returns whether it is a new one of another person. */
  receive(message: Message, isMine: boolean): boolean {
    if (!isMine) this.mark ??= { position: message.place?.at ?? '', sequence: 0 }
    const isNews = this.insert(message, isMine)
    if (isNews) this.arrived += 1
    return isNews
  }

  /** Adds a message that was read from the history. What was missed counts as arrived, what is from further back does not. */
  insertRead(message: Message, isMine: boolean): void {
    const isUnread = this.mark !== undefined && message.place !== undefined && message.place.at >= this.mark.position
    if (this.insert(message, isMine) && isUnread) this.arrived += 1
  }

  /** Takes what is there at the first sight of the thread as read: up to `position`, or to the end. */
  markSeen(position?: string): void {
    this.mark ??= position === undefined ? this.stream.readMark : { position, sequence: 0 }
    this.snapshot = undefined
  }

  /** Marks everything as read, and keeps where the new messages begin. */
  markRead(): void {
    if (this.mark === undefined) return
    this.firstUnread = this.stream.unreadAfter(this.mark)[0]?.key ?? this.firstUnread
    this.readAll()
  }

  /** Moves the mark to the end; not back, as when the newest messages are not loaded yet. */
  readAll(): void {
    const { position, sequence } = this.stream.readMark
    const read = this.mark?.position ?? ''
    this.mark = { position: position > read ? position : read, sequence }
    this.snapshot = undefined
  }

  /** Removes the mark where the new messages begin. */
  markOld(): void {
    this.firstUnread = undefined
    this.snapshot = undefined
  }

  /** Drops what is before `position`, because it is no longer in the history. */
  dropBefore(position: string): void {
    this.stream.dropBefore(position)
    this.isLost = true
    this.snapshot = undefined
  }

  /** Drops all messages that are not unsent. */
  clear(): void {
    this.stream.clear()
    this.epoch = Symbol('epoch')
    this.isLost = false
    this.older = 'idle'
    this.snapshot = undefined
  }

  /** Drops everything that is known of the history, which is another one than before. */
  reset(): void {
    this.clear()
    this.mark = undefined
    this.firstUnread = undefined
  }

  private insert(message: Message, isMine: boolean): boolean {
    const isNew = this.stream.insert(message, isMine ? { kind: 'sent' } : undefined)
    this.snapshot = undefined
    return isNew && !isMine
  }

  private takeSnapshot(): Thread {
    const { key, audience, stream, typed, arrived, mark } = this
    const { entries } = stream
    const unread = mark === undefined ? [] : stream.unreadAfter(mark)
    const last = entries.findLast(entry => entry.kind === 'message')
    const isReadFar = mark === undefined || mark.position === '' || stream.coverage.reaches(mark.position)
    return {
      key, audience, entries, typed, arrived,
      older: this.describeOlder(),
      unread: unread.length,
      hasMoreUnread: unread.length > 0 && !isReadFar,
      firstUnread: unread[0]?.key ?? this.firstUnread,
      latest: last?.kind === 'message' ? last.message.sentAt.getTime() : 0,
    }
  }

  private describeOlder(): Older {
    if (!this.hasHistory) return OLDER.none
    if (this.isLost) return OLDER.lost
    const { start } = this.stream.coverage
    if (start === BEGINNING) return OLDER.beginning
    // Until the newest page is read, nothing older can be asked for.
    return start === undefined && this.older === 'idle' ? OLDER.loading : OLDER[this.older]
  }
}
