// Keeps one history complete: catches up after each reconnect, fills holes that stay, and reads older pages on demand. What it reads
// goes to a target; it does no more than one request at a time.
import { UNEXPECTED_RESPONSE } from './api'
import type { TransientFailure } from './api'
import { backoff } from './backoff'
import type { Coverage, Range } from './coverage'
import { BEGINNING } from './coverage'
import type { HistoryPage, PageCursor, PageResult } from './historyApi'
import type { LoadState } from './thread'

/** What is known of a history. */
export interface ReaderTarget {
  readonly coverage: Coverage
  /** Another value after everything that was read was dropped: a page that was asked for before does not belong here any more. */
  readonly epoch: unknown
  /** Adds the messages of a page, which covers `range`. */
  addPage(page: HistoryPage, range: Range): void
  /** What was before `position` is no longer kept. */
  dropBefore(position: string): void
  /** The positions are not of this history any more: everything is read anew. */
  reset(): void
  /** Shows the hole that begins at `from`. */
  setHole(from: string, state: LoadState): void
  /** Says whether older messages are loaded. */
  setOlder(state: LoadState): void
}

export interface ReaderOptions {
  readonly fetchPage: (cursor: PageCursor, limit: number) => Promise<PageResult>
  readonly target: ReaderTarget
  /** Called when the reader has read something by itself. */
  readonly onChange?: () => void
  /** Called if a check has found messages at the end that had not arrived. */
  readonly onMissed?: () => void
  /** Called after a reset outside of a check, to read the newest page; without it, the reader checks. */
  readonly onReset?: (() => void) | undefined
  /** Returns a number from 0 to 1. */
  readonly random?: () => number
}

/** The most messages of a page. */
export const PAGE_LIMIT = 100
/** The first page of a thread. */
const FIRST_PAGE_LIMIT = 50
/** A hole may close by itself: frames of several connections of the service overtake each other. */
const HOLE_DELAY_MS = 2000
const HOLE_JITTER_MS = 3000
const MAX_HOLE_ATTEMPTS = 5
/** How many pages without a message are read in a row before a person is asked. Of a filtered history, some are empty. */
const MAX_EMPTY_PAGES = 10
/** A page that does not continue where the last one ended would be asked for again and again. */
const UNUSABLE: PageResult = { kind: 'failed', failure: UNEXPECTED_RESPONSE }

/** `outdated`: the reader was closed, or what it has read was dropped, before the page came. */
type ReadResult = PageResult | { readonly kind: 'outdated' }

export class StreamReader {
  private queue: Promise<unknown> = Promise.resolve()
  /** Whether a check waits for its turn. */
  private isCheckWaiting = false
  private failures = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  /** How often the hole that begins at a position was asked for. */
  private readonly attempts = new Map<string, number>()
  private holeTimer: ReturnType<typeof setTimeout> | undefined
  /** The target's epoch when the newest page was read. Messages that arrive before that do not replace it. */
  private newestEpoch: unknown
  private emptyPages = 0
  private isClosed = false

  constructor(private readonly options: ReaderOptions) {}

  /**
   * Reads what was added to the end, or the newest page if that is further away than a page. A check that fails is repeated until one
   * succeeds. Returns whether it did.
   */
  async check(): Promise<boolean> {
    // One that waits for its turn reads what this one would.
    if (this.isCheckWaiting) return this.queue.then(() => this.failures === 0)
    this.isCheckWaiting = true
    clearTimeout(this.timer)
    return this.inTurn(async () => {
      this.isCheckWaiting = false
      const result = await this.readEnd()
      if (result.kind === 'failed' || result.kind === 'outdated') {
        this.failures += 1
        // Not even the newest page is there.
        if (this.failures > 1 && !this.isClosed && this.options.target.coverage.start === undefined) this.options.target.setOlder('failed')
        if (result.kind === 'outdated') this.retryLater({})
        else if (result.failure.kind === 'transient') this.retryLater(result.failure)
        return false
      }
      if (this.failures > 0 && !this.isClosed) this.options.target.setOlder('idle')
      this.failures = 0
      this.watchHoles()
      return result.kind === 'page'
    })
  }

  /** Checks at a person's request, because not even the newest page could be read. */
  async checkAgain(): Promise<void> {
    const { target } = this.options
    target.setOlder('loading')
    if (!await this.check() && !this.isClosed) target.setOlder('failed')
  }

  /** Reads the page before the oldest message. Not before the newest page is read. */
  async loadOlder(): Promise<void> {
    const { target } = this.options
    if (!hasOlder(target.coverage)) return
    target.setOlder('loading')
    await this.inTurn(async () => {
      const { start } = target.coverage
      const result = start === undefined || start === BEGINNING ? undefined : await this.readBefore(start)
      if (!this.isClosed) target.setOlder(result?.kind === 'failed' ? 'failed' : 'idle')
    })
  }

  /** Reads the end of the hole that begins at `from`; what is left of it is shown as a hole. */
  async fillHole(from: string): Promise<void> {
    const { target } = this.options
    target.setHole(from, 'loading')
    await this.inTurn(async () => {
      const hole = this.holeAt(from)
      if (hole === undefined) return
      const result = await this.readBefore(hole.until)
      if (result.kind !== 'outdated') target.setHole(from, result.kind === 'failed' ? 'failed' : 'idle')
    })
  }

  /** Asks for the holes after a while, unless they close by themselves. Call it after a message has come. */
  watchHoles(): void {
    const { random = Math.random } = this.options
    if (this.isClosed || this.holeTimer !== undefined || this.openHoles().length === 0) return
    this.holeTimer = setTimeout(() => {
      this.holeTimer = undefined
      void this.fillOpenHoles().then(() => {
        this.options.onChange?.()
        this.watchHoles()
      })
    }, HOLE_DELAY_MS + random() * HOLE_JITTER_MS)
  }

  /** Stops all timers. */
  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
    clearTimeout(this.holeTimer)
  }

  /** The holes that are asked for without a person's doing: not those that are longer than a page, and each a few times. */
  private openHoles(): readonly Range[] {
    const { holes } = this.options.target.coverage
    for (const from of this.attempts.keys()) if (!holes.some(hole => hole.from === from)) this.attempts.delete(from)
    return holes.filter(({ from }) => (this.attempts.get(from) ?? 0) < MAX_HOLE_ATTEMPTS)
  }

  private async fillOpenHoles(): Promise<void> {
    for (const { from } of this.openHoles()) {
      const attempts = (this.attempts.get(from) ?? 0) + 1
      this.attempts.set(from, attempts)
      await this.inTurn(async () => {
        const hole = this.holeAt(from)
        if (hole === undefined) return
        const result = await this.readBefore(hole.until)
        if (result.kind === 'outdated' || this.holeAt(from) === undefined) return
        if (result.kind !== 'failed') this.leaveHole(from, 'idle')
        else if (attempts === MAX_HOLE_ATTEMPTS) this.leaveHole(from, 'failed')
      })
    }
  }

  /** Leaves a hole to the person: it is longer than a page, or cannot be read. */
  private leaveHole(from: string, state: LoadState): void {
    this.attempts.set(from, MAX_HOLE_ATTEMPTS)
    this.options.target.setHole(from, state)
  }

  private holeAt(from: string): Range | undefined {
    return this.options.target.coverage.holes.find(hole => hole.from === from)
  }

  private async readEnd(): Promise<ReadResult> {
    const { target } = this.options
    // Messages that have arrived since the last check may be behind a hole.
    const after = this.openHoles()[0]?.from ?? target.coverage.end
    if (this.newestEpoch !== target.epoch || after === undefined || after === BEGINNING) return this.readNewest()
    const { epoch } = target
    const add = (page: HistoryPage) => {
      const from = page.isLost ? page.before ?? BEGINNING : after
      if (page.isLost) target.dropBefore(from)
      target.addPage(page, { from, until: page.after ?? after })
    }
    const result = await this.fetch({ after }, PAGE_LIMIT, (page) => {
      if (page.messages.length > 0 && page.after !== null && (target.coverage.end ?? '') < page.after) this.options.onMissed?.()
      if (!page.hasMore) add(page)
    })
    if (result.kind === 'invalid-cursor') return this.readNewest()
    if (result.kind !== 'page' || !result.page.hasMore) return result
    return this.readNewest(() => {
      if (target.epoch !== epoch) return
      add(result.page)
      for (const { from } of target.coverage.holes) if (!this.attempts.has(from)) this.leaveHole(from, 'idle')
    })
  }

  /** `onAdded` is called as soon as the page is added. */
  private readNewest(onAdded?: () => void): Promise<ReadResult> {
    const { target } = this.options
    return this.fetch({}, FIRST_PAGE_LIMIT, (page) => {
      target.addPage(page, { from: page.before ?? BEGINNING, until: page.after ?? BEGINNING })
      this.newestEpoch = target.epoch
      onAdded?.()
    })
  }

  private async readBefore(position: string): Promise<ReadResult> {
    const { target, onReset = () => void this.check().then(this.options.onChange) } = this.options
    const result = await this.fetch({ before: position }, PAGE_LIMIT, (page) => {
      this.emptyPages = page.messages.length > 0 ? 0 : this.emptyPages + 1
      const from = page.isLost ? page.messages[0]?.place?.at ?? position : page.before ?? BEGINNING
      if (page.isLost) target.dropBefore(from)
      target.addPage(page, { from, until: position })
    })
    if (result.kind === 'invalid-cursor') onReset()
    if (result.kind !== 'page' || this.emptyPages < MAX_EMPTY_PAGES) return result
    this.emptyPages = 0
    return hasOlder(target.coverage) ? UNUSABLE : result
  }

  /**
   * Reads a page, and calls `add` with it in the same task in which it has come. If the position is not of this history any more,
   * everything that is known of it is dropped.
   */
  private async fetch(cursor: PageCursor, limit: number, add: (page: HistoryPage) => void): Promise<ReadResult> {
    const { target, fetchPage } = this.options
    const { epoch } = target
    const isOutdated = () => this.isClosed || target.epoch !== epoch
    if (isOutdated()) return { kind: 'outdated' }
    const result = await fetchPage(cursor, limit)
    if (isOutdated()) return { kind: 'outdated' }
    if (result.kind === 'invalid-cursor') target.reset()
    if (result.kind !== 'page') return result
    if (!continues(result.page, cursor)) return UNUSABLE
    add(result.page)
    return result
  }

  private retryLater({ retryAfterMs = 0 }: Partial<Pick<TransientFailure, 'retryAfterMs'>>): void {
    if (this.isClosed) return
    const { random = Math.random } = this.options
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.check().then(this.options.onChange), Math.max(retryAfterMs, backoff(this.failures, random())))
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.then(work)
    this.queue = done.catch(() => undefined)
    return done
  }
}

function hasOlder({ start }: Coverage): boolean {
  return start !== undefined && start !== BEGINNING
}

/** Whether a page is where it was asked for, and not empty in the direction in which more are asked for. */
function continues({ before, after, isLost }: HistoryPage, cursor: PageCursor): boolean {
  const from = before ?? BEGINNING
  if ('after' in cursor) return (after ?? cursor.after) >= cursor.after && (!isLost || from <= (after ?? cursor.after))
  if (cursor.before === undefined) return from <= (after ?? BEGINNING)
  return isLost || from < cursor.before
}
