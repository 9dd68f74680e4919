// Keeps the histories of all threads complete: one of the messages to everyone, one for each room, and one of the private messages.
import type { HistorySource, PageCursor, PageResult } from './historyApi'
import type { Audience } from './message'
import { StreamReader } from './streamReader'
import { PERSON_PREFIX, threadKey } from './threads'
import type { Threads } from './threads'

export interface HistoriesOptions {
  readonly threads: Threads
  readonly fetchPage: (source: HistorySource, cursor: PageCursor, limit: number) => Promise<PageResult>
  /** Called when something was read, or is being read. */
  readonly onChange: () => void
  /** Called if messages of a room had not arrived. */
  readonly onMissed: (room: string) => void
}

export class Histories {
  /** By the key of the thread, or `private`. */
  private readonly readers = new Map<string, StreamReader>()

  constructor(private readonly options: HistoriesOptions) {}

  /** Reads what was added to all histories. */
  async checkAll(): Promise<void> {
    const rooms = this.options.threads.list.map(({ audience }) => audience).filter(({ kind }) => kind === 'room')
    await Promise.all([this.checkWithoutRooms(), ...rooms.map(room => this.check(room))])
  }

  /** Reads what was added to the histories of the messages that arrive without entering a room. */
  async checkWithoutRooms(): Promise<void> {
    await Promise.all([this.check({ kind: 'everyone' }), this.check(PRIVATE)])
  }

  /** Reads what was added to the history of `audience`. A room that was left is not read. */
  async check(audience: Audience): Promise<void> {
    const { threads } = this.options
    if (!threads.hasHistory(audience) || (audience.kind === 'room' && !threads.has(audience))) return
    await this.readerOf(sourceOf(audience)).check()
    this.options.onChange()
  }

  /** Reads older messages of a thread, or the newest ones again if they could not be read. */
  async loadOlder(audience: Audience): Promise<void> {
    const source = sourceOf(audience)
    const isKnown = this.options.threads.target(source).coverage.start !== undefined
    const done = isKnown ? this.threadReader(audience).loadOlder() : this.readerOf(source).checkAgain()
    this.options.onChange()
    await done
    this.options.onChange()
  }

  /** Reads the end of the hole of a thread that begins at `from`. */
  async fillHole(audience: Audience, from: string): Promise<void> {
    const done = this.threadReader(audience).fillHole(from)
    this.options.onChange()
    await done
    this.options.onChange()
  }

  /** Looks for holes after messages have arrived. Those of the private messages are looked for once, not with each person. */
  watchHoles(): void {
    for (const [key, reader] of this.readers) if (!isOfPerson(key)) reader.watchHoles()
  }

  /** Stops reading the history of a room. */
  leave(room: string): void {
    const key = threadKey({ kind: 'room', room })
    this.readers.get(key)?.close()
    this.readers.delete(key)
  }

  close(): void {
    for (const reader of this.readers.values()) reader.close()
    this.readers.clear()
  }

  /** Of a person's thread, it reads only the messages with that person. */
  private threadReader(audience: Audience): StreamReader {
    this.closeUnused()
    return this.readerOf(audience.kind === 'person' ? { kind: 'private', with: audience.userId } : audience)
  }

  /** Closes the readers of people whose threads were dropped. */
  private closeUnused(): void {
    const used = new Set(this.options.threads.list.map(({ key }) => key))
    for (const [key, reader] of this.readers) {
      if (!isOfPerson(key) || used.has(key)) continue
      reader.close()
      this.readers.delete(key)
    }
  }

  private readerOf(source: HistorySource): StreamReader {
    const key = keyOf(source)
    const existing = this.readers.get(key)
    if (existing !== undefined) return existing
    const { threads, fetchPage, onMissed } = this.options
    const reader = new StreamReader({
      fetchPage: (cursor, limit) => fetchPage(source, cursor, limit),
      target: threads.target(source),
      onMissed: () => { if (source.kind === 'room') onMissed(source.room) },
      onChange: () => { this.options.onChange() },
      // The private messages with all people are read anew.
      onReset: source.kind === 'private' && source.with !== undefined ? () => void this.check(PRIVATE) : undefined,
    })
    this.readers.set(key, reader)
    return reader
  }
}

function isOfPerson(key: string): boolean {
  return key.startsWith(PERSON_PREFIX)
}

/** Stands for the private messages, which are in one history. */
const PRIVATE: Audience = { kind: 'person', userId: '' }

/** The history of a thread; people share one. */
function sourceOf(audience: Audience): HistorySource {
  return audience.kind === 'person' ? { kind: 'private' } : audience
}

function keyOf(source: HistorySource): string {
  if (source.kind !== 'private') return threadKey(source)
  return source.with === undefined ? 'private' : threadKey({ kind: 'person', userId: source.with })
}
