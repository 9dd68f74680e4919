// The messages of one thread, in the order of the history, however they arrive: live, in pages, twice, or with holes between them.
// Messages that are not in the history keep the order in which they came. Pure: no I/O and no clock.
import { Coverage } from './coverage'
import type { Range } from './coverage'
import { messageKey } from './message'
import type { Message } from './message'
import { indexOfPosition, orderEntries } from './orderEntries'
import type { LooseEntry, PlacedEntry } from './orderEntries'
import type { Delivery } from './outbox'
import type { Entry, LoadState, MessageEntry } from './thread'

/** How far a person has read: messages in the history before `position`, and the others up to the number `sequence`. */
export interface ReadMark {
  readonly position: string
  readonly sequence: number
}

/** The most messages that are kept while new ones arrive, */
export const MAX_MESSAGES = 20_000
/** and how many more may be there before the oldest are dropped: a person who reads them loads them again. */
export const TRIM_STEP = 1000
/** The most removals that are remembered in case their messages arrive later. */
const MAX_REMOVALS = 1000

export class Stream {
  /** Sorted by position. */
  private placed: PlacedEntry[] = []
  /** In the order of arrival. */
  private loose: LooseEntry[] = []
  private unsent: MessageEntry[] = []
  /** All messages but removed ones, by `messageKey`. */
  private readonly byKey = new Map<string, MessageEntry>()
  /** The positions and the senders with ids of messages that were removed. */
  private readonly removals = new Set<string>()
  /** The holes that are shown, by where they begin. */
  private readonly holeStates = new Map<string, LoadState>()
  private sequence = 0
  private snapshot: readonly Entry[] | undefined
  coverage = Coverage.EMPTY

  /** All entries in the order in which they are shown; the same array until something changes. */
  get entries(): readonly Entry[] {
    if (this.snapshot === undefined) {
      const holes = this.coverage.holes.flatMap(({ from, until }) => {
        const state = this.holeStates.get(from)
        return state === undefined ? [] : [{ kind: 'hole', key: `hole ${from}`, from, until, state } as const]
      })
      this.snapshot = [...orderEntries(this.placed, holes, this.loose), ...this.unsent]
    }
    return this.snapshot
  }

  /** The mark of a person who has read everything. */
  get readMark(): ReadMark {
    return { position: this.coverage.end ?? this.placed.at(-1)?.message.place.next ?? '', sequence: this.sequence }
  }

  /** Records that a range of the history is loaded: all its messages were or will be inserted. */
  cover(range: Range): void {
    this.coverage = this.coverage.add(range)
    this.snapshot = undefined
  }

  /**
   * Adds a message that was published; returns whether it is new. Of duplicates, the one with the lowest position stands, and an own
   * unsent message becomes the published one.
   */
  insert(message: Message, delivery?: Delivery): boolean {
    if (this.isRemoved(message)) {
      this.insertRemoved(message, delivery)
      return false
    }
    const key = messageKey(message)
    const existing = this.byKey.get(key)
    if (existing === undefined) {
      this.store({ kind: 'message', key, message, delivery })
      return true
    }
    if (isUnsent(existing) || isBefore(message, existing.message)) {
      this.detach(existing)
      this.store({ ...existing, message, delivery: isUnsent(existing) ? delivery ?? { kind: 'sent' } : existing.delivery })
    }
    return false
  }

  /** Adds an own message that will be sent. */
  addUnsent(message: Message, delivery: Delivery): void {
    this.store({ kind: 'message', key: messageKey(message), message, delivery })
  }

  get hasUnsent(): boolean {
    return this.unsent.length > 0
  }

  /** The own unsent message with this id. */
  findUnsent(id: string): MessageEntry | undefined {
    return this.unsent.find(({ message }) => message.id === id)
  }

  /** Sets the state of an own unsent message. */
  setDelivery(id: string, delivery: Delivery): void {
    const entry = this.findUnsent(id)
    if (entry === undefined) return
    const changed = { ...entry, delivery }
    this.unsent = this.unsent.map(other => (other === entry ? changed : other))
    this.byKey.set(messageKey(entry.message), changed)
    this.snapshot = undefined
  }

  /** Replaces the own unsent message with the same id by the published one, which may have arrived or been removed already. */
  setPublished(message: Message, delivery: Delivery): void {
    const unsent = this.findUnsent(message.id)
    if (unsent !== undefined) this.detach(unsent)
    if (this.isRemoved(message)) {
      this.insertRemoved(message, delivery)
      return
    }
    const arrived = this.byKey.get(messageKey(message))
    if (arrived !== undefined && !isBefore(message, arrived.message)) {
      this.replace(arrived, { ...arrived, delivery })
      return
    }
    if (arrived !== undefined) this.detach(arrived)
    this.store({ kind: 'message', key: arrived?.key ?? unsent?.key ?? messageKey(message), message, delivery })
  }

  /** Takes back an own unsent message. */
  removeUnsent(id: string): void {
    const entry = this.findUnsent(id)
    if (entry !== undefined) this.detach(entry)
  }

  /** Hides the text of the message at a position, also if it arrives later. */
  removeAt(at: string): void {
    this.remember(at)
    const entry = this.placed[indexOfPosition(this.placed, at)]
    if (entry?.message.place.at === at) this.insertRemoved(entry.message, entry.delivery)
  }

  /** Adds a time without connection. One that follows another extends it. */
  addGap(from: Date, until: Date): void {
    const last = this.loose.at(-1)
    const after = this.end
    if (this.placed.length + this.loose.length === 0) return
    if (last?.entry.kind === 'gap' && last.after === after) this.loose.splice(-1, 1, { ...last, entry: { ...last.entry, until } })
    else this.loose.push({ after, sequence: this.sequence, entry: { kind: 'gap', key: `gap ${from.toISOString()}`, from, until } })
    this.snapshot = undefined
  }

  /** Shows the hole that begins at `from`. */
  setHole(from: string, state: LoadState): void {
    const { holes } = this.coverage
    for (const known of this.holeStates.keys()) if (!holes.some(hole => hole.from === known)) this.holeStates.delete(known)
    this.holeStates.set(from, state)
    this.snapshot = undefined
  }

  /** Drops the times without connection: the history has what was missed. */
  dropGaps(): void {
    this.loose = this.loose.filter(({ entry }) => entry.kind !== 'gap')
    this.snapshot = undefined
  }

  /** Drops what is before `position`, because it is no longer in the history. */
  dropBefore(position: string): void {
    for (const { message } of this.placed.splice(0, indexOfPosition(this.placed, position))) this.byKey.delete(messageKey(message))
    this.coverage = this.coverage.dropBefore(position)
    this.snapshot = undefined
  }

  /** Drops everything but unsent messages. */
  clear(): void {
    for (const entry of [...this.placed, ...this.loose.map(({ entry }) => entry)]) if (entry.kind === 'message') this.byKey.delete(messageKey(entry.message))
    this.placed = []
    this.loose = []
    this.coverage = Coverage.EMPTY
    this.holeStates.clear()
    this.removals.clear()
    this.snapshot = undefined
  }

  /** Drops the oldest entries down to `MAX_MESSAGES` if there are `TRIM_STEP` more. */
  trim(): void {
    const excess = this.placed.length + this.loose.length - MAX_MESSAGES
    if (excess < TRIM_STEP) return
    const first = this.placed[excess]
    if (first !== undefined) this.dropBefore(first.message.place.at)
    else for (const { entry } of this.loose.splice(0, excess)) if (entry.kind === 'message') this.byKey.delete(messageKey(entry.message))
    this.snapshot = undefined
  }

  /** The messages of others that are not read, the oldest first. */
  unreadAfter({ position, sequence }: ReadMark): readonly MessageEntry[] {
    const unread: MessageEntry[] = this.placed.slice(indexOfPosition(this.placed, position))
    for (const item of this.loose) if (item.sequence > sequence && item.entry.kind === 'message') unread.push(item.entry)
    return unread.filter(({ delivery, message }) => delivery === undefined && message.isRemoved !== true)
  }

  private get end(): string {
    return this.placed.at(-1)?.message.place.next ?? ''
  }

  private store(entry: MessageEntry): void {
    if (entry.message.isRemoved !== true) this.byKey.set(messageKey(entry.message), entry)
    if (isUnsent(entry)) {
      this.unsent.push(entry)
    } else if (isPlaced(entry)) {
      this.placed.splice(indexOfPosition(this.placed, entry.message.place.at), 0, entry)
    } else {
      this.sequence += 1
      this.loose.push({ after: this.end, sequence: this.sequence, entry })
    }
    this.snapshot = undefined
  }

  private detach(entry: MessageEntry): void {
    this.byKey.delete(messageKey(entry.message))
    if (isUnsent(entry)) this.unsent = this.unsent.filter(other => other !== entry)
    else if (isPlaced(entry)) this.placed = this.placed.filter(other => other !== entry)
    else this.loose = this.loose.filter(other => other.entry !== entry)
    this.snapshot = undefined
  }

  /** Puts an entry where an equal one was. */
  private replace(entry: MessageEntry, changed: MessageEntry): void {
    this.byKey.set(messageKey(changed.message), changed)
    if (isPlaced(changed)) this.placed = this.placed.map(other => (other === entry ? changed : other))
    else this.loose = this.loose.map(item => (item.entry === entry ? { ...item, entry: changed } : item))
    this.snapshot = undefined
  }

  private isRemoved({ place, isRemoved = false, ...message }: Message): boolean {
    return isRemoved || (place !== undefined && (this.removals.has(place.at) || this.removals.has(removalKey(message))))
  }

  /** Shows that a message was removed, instead of all lines of its sender with its id. */
  private insertRemoved(message: Message, delivery: Delivery | undefined): void {
    const { place } = message
    if (place === undefined) return
    this.remember(place.at)
    this.remember(removalKey(message))
    const lines = this.placed.filter(other => removalKey(other.message) === removalKey(message))
    for (const line of lines) this.detach(line)
    const [first] = lines
    const standing = first !== undefined && first.message.place.at <= place.at ? first : { kind: 'message', key: `removed ${place.at}`, message, delivery } as const
    this.store({ ...standing, message: { ...standing.message, text: '', isRemoved: true } })
  }

  private remember(removal: string): void {
    this.removals.add(removal)
    const [oldest] = this.removals
    if (this.removals.size > MAX_REMOVALS && oldest !== undefined) this.removals.delete(oldest)
  }
}

function isUnsent({ delivery }: MessageEntry): boolean {
  return delivery !== undefined && delivery.kind !== 'sent'
}

function isPlaced(entry: MessageEntry): entry is PlacedEntry {
  return entry.message.place !== undefined
}

/** Whether `message` stands and `other`, a duplicate of it, does not. */
function isBefore(message: Message, other: Message): boolean {
  return message.place !== undefined && (other.place === undefined || message.place.at < other.place.at)
}

/** What the removal of a message removes: all lines of its sender with its id. */
function removalKey({ id, sender }: Pick<Message, 'id' | 'sender'>): string {
  return `${id} ${sender.kind === 'user' ? sender.userId : ''}`
}
