// The threads of a person: the messages to everyone, in the rooms that were entered, and with each person. They share the connection,
// and the private ones a history. Pure: no I/O and no clock.
import { Coverage } from './coverage'
import type { HistoryPage, HistorySource } from './historyApi'
import type { Audience, Message, Sender } from './message'
import type { Delivery } from './outbox'
import { PrivateHistory } from './privateHistory'
import type { ReadMark } from './stream'
import type { ReaderTarget } from './streamReader'
import type { MessageEntry, Thread } from './thread'
import { ThreadState } from './threadState'

/** Which threads have a history. */
export interface HistoryFeatures {
  readonly history: boolean
  readonly privateHistory: boolean
}

/** How far threads were read, as positions in their histories by `threadKey`; `PRIVATE` is for people without a thread. */
export type ReadMarks = Readonly<Partial<Record<string, string>>>

export const MAX_PEOPLE = 200
/** The most threads for which is kept how far they were read. */
export const MAX_MARKS = 1000
const EVERYONE = 'everyone'
const PRIVATE = 'private'
export const PERSON_PREFIX = 'person '

/** The key of the thread in which the sender of a message to `audience` sees it. */
export function threadKey(audience: Audience): string {
  if (audience.kind === 'everyone') return EVERYONE
  return audience.kind === 'room' ? `room ${audience.room}` : PERSON_PREFIX + audience.userId
}

export class Threads {
  /** By key, in the order in which they began. */
  private readonly byKey = new Map<string, ThreadState>()
  private openKey = EVERYONE
  /** `undefined` until they are known. */
  private features: HistoryFeatures | undefined
  private readonly privateHistory: PrivateHistory
  /** How far threads that are not here any more, or not yet, were read. */
  private readonly marks: Map<string, string | undefined>

  constructor(private readonly me: Sender, marks: ReadMarks = {}) {
    this.marks = new Map(Object.entries(marks))
    this.privateHistory = new PrivateHistory(() => this.people(), marks[PRIVATE])
    this.add({ kind: 'everyone' })
    for (const key of Object.keys(marks)) if (key.startsWith(PERSON_PREFIX)) this.add({ kind: 'person', userId: key.slice(PERSON_PREFIX.length) })
  }

  /** All threads. */
  get list(): readonly Thread[] {
    return [...this.byKey.values()].map(({ thread }) => thread)
  }

  get current(): Thread {
    return this.openState.thread
  }

  /** How far all threads were read, to be kept for the next visit. */
  get readMarks(): ReadMarks {
    const marks = [...this.byKey.values()].map(({ key, readPosition }) => [key, readPosition] as const)
    return Object.fromEntries([[PRIVATE, this.privateHistory.mark] as const, ...marks].filter(([, position]) => position !== undefined))
  }

  setFeatures(features: HistoryFeatures): void {
    this.features = features
    for (const state of this.byKey.values()) state.setHistory(this.hasHistory(state.audience))
  }

  /** Whether the messages to `audience` are kept for this person. */
  hasHistory({ kind }: Audience): boolean {
    if (this.features?.history !== true) return false
    return kind !== 'person' || (this.features.privateHistory && this.me.kind === 'user')
  }

  has(audience: Audience): boolean {
    return this.byKey.has(threadKey(audience))
  }

  /** Whether the thread for `audience` has text of the person that is not sent. */
  hasUnsentText(audience: Audience): boolean {
    return this.byKey.get(threadKey(audience))?.hasUnsentText === true
  }

  /** Adds the thread for `audience` if there is none. */
  add(audience: Audience): void {
    this.stateFor(audience)
  }

  /** Opens the thread for `audience`, which is added if there is none. */
  open(audience: Audience): void {
    this.markOld()
    this.openKey = this.stateFor(audience).key
  }

  /** Removes the thread of a room. */
  leave(room: string): void {
    const key = threadKey({ kind: 'room', room })
    if (this.openKey === key) this.openKey = EVERYONE
    this.drop(key)
  }

  /** Removes the mark where the new messages of the open thread begin. */
  markOld(): void {
    this.openState.markOld()
  }

  /** Marks the open thread as read. */
  markRead(): void {
    this.openState.markRead()
  }

  /** Sets the typed text of the thread for `audience`. */
  write(audience: Audience, typed: string): void {
    this.stateFor(audience).setTyped(typed)
  }

  /** Adds an own message that will be sent. */
  addUnsent(message: Message): void {
    this.stateFor(message.audience).change((stream) => { stream.addUnsent(message, { kind: 'sending' }) })
  }

  /** The own unsent message with this id. */
  findUnsent(id: string): MessageEntry | undefined {
    return this.withUnsent(id)?.stream.findUnsent(id)
  }

  setDelivery(id: string, delivery: Delivery): void {
    this.withUnsent(id)?.change((stream) => { stream.setDelivery(id, delivery) })
  }

  removeUnsent(id: string): void {
    this.withUnsent(id)?.change((stream) => { stream.removeUnsent(id) })
  }

  /** Replaces an own message by the published one. */
  setPublished(message: Message, delivery: Delivery): void {
    const unsent = this.withUnsent(message.id)
    const audience = unsent?.audience ?? this.audienceOf(message)
    const state = unsent ?? this.byKey.get(threadKey(audience))
    state?.change((stream) => { stream.setPublished({ ...message, audience }, delivery) })
    this.cover(message)
  }

  /**
   * Adds messages from the hub, and returns the threads in which the number of unread messages has grown. `isVisible`: the open thread is
   * on the screen. Messages of rooms that were not entered are ignored.
   */
  receive(messages: readonly Message[], isVisible: boolean): readonly Thread[] {
    const grown = new Set<ThreadState>()
    for (const message of messages) {
      const state = this.stateOf(message)
      this.cover(message)
      if (state?.receive(message, this.isMine(message)) === true) grown.add(state)
    }
    for (const state of this.byKey.values()) state.stream.trim()
    if (isVisible && grown.delete(this.openState)) this.openState.readAll()
    return [...grown].map(({ thread }) => thread)
  }

  /** Adds messages that the person has read before, with a gap after them, since messages from `savedAt` on are missing. */
  restore(messages: readonly Message[], savedAt: Date, now: Date): void {
    this.receive(messages, true)
    for (const state of new Set(messages.map(message => this.stateOf(message)))) {
      state?.change((stream) => { stream.addGap(savedAt, now) })
      state?.readAll()
    }
  }

  /** Hides a message that its sender has removed. */
  remove(audience: Audience, at: string): void {
    this.byKey.get(threadKey(audience))?.change((stream) => { stream.removeAt(at) })
  }

  /** Drops all private messages, which the person has erased. */
  erasePrivate(): void {
    this.privateHistory.erase()
  }

  /** Adds a time without connection to the threads that have no history. */
  addGap(from: Date, until: Date): void {
    for (const state of this.byKey.values()) if (!this.hasHistory(state.audience)) state.change((stream) => { stream.addGap(from, until) })
  }

  /** What a reader of a history reads into: a thread, or all threads with people. */
  target(source: HistorySource): ReaderTarget {
    const history = this.privateHistory
    if (source.kind !== 'private') return this.threadTarget(source, state => state?.epoch, (state) => { state?.reset() })
    if (source.with === undefined) return history.target((page) => { this.insertPage(page) })
    return this.threadTarget({ kind: 'person', userId: source.with }, () => history.epoch, () => { history.reset() })
  }

  /** The thread may be dropped while a page of it is read. */
  private threadTarget(
    audience: Audience, epochOf: (state: ThreadState | undefined) => symbol | undefined, reset: (state: ThreadState | undefined) => void,
  ): ReaderTarget {
    this.add(audience)
    const state = () => this.byKey.get(threadKey(audience))
    return {
      get coverage() { return state()?.stream.coverage ?? Coverage.EMPTY },
      get epoch() { return epochOf(state()) },
      addPage: (page, range) => {
        this.insertPage(page)
        state()?.change((stream) => { stream.cover(range) })
        state()?.markSeen()
      },
      dropBefore: (position) => { state()?.dropBefore(position) },
      reset: () => { reset(state()) },
      setHole: (from, hole) => { state()?.change((stream) => { stream.setHole(from, hole) }) },
      setOlder: (older) => { state()?.setOlder(older) },
    }
  }

  private insertPage({ messages }: HistoryPage): void {
    for (const message of messages) this.stateOf(message)?.insertRead(message, this.isMine(message))
  }

  /** Records that the line of `message` in the history is loaded. */
  private cover({ place, audience }: Message): void {
    if (place === undefined) return
    const range = { from: place.at, until: place.next }
    if (audience.kind === 'person') this.privateHistory.cover(range)
    else this.byKey.get(threadKey(audience))?.change((stream) => { stream.cover(range) })
  }

  private get openState(): ThreadState {
    return this.byKey.get(this.openKey) ?? this.stateFor({ kind: 'everyone' })
  }

  private people(): readonly ThreadState[] {
    return [...this.byKey.values()].filter(({ audience }) => audience.kind === 'person')
  }

  private withUnsent(id: string): ThreadState | undefined {
    return [...this.byKey.values()].find(({ stream }) => stream.findUnsent(id) !== undefined)
  }

  private isMine({ sender }: Message): boolean {
    return sender.kind === 'user' && this.me.kind === 'user' && this.me.userId === sender.userId
  }

  /** A private message of another person belongs to the thread with that person. */
  private audienceOf(message: Message): Audience {
    const { audience, sender } = message
    return audience.kind === 'person' && sender.kind === 'user' && !this.isMine(message) ? { kind: 'person', userId: sender.userId } : audience
  }

  /** The thread of a message; `undefined` for a room that was not entered. */
  private stateOf(message: Message): ThreadState | undefined {
    const audience = this.audienceOf(message)
    return audience.kind === 'room' ? this.byKey.get(threadKey(audience)) : this.stateFor(audience)
  }

  /** Finds the thread for `audience`, or adds it. */
  private stateFor(audience: Audience): ThreadState {
    const key = threadKey(audience)
    const existing = this.byKey.get(key)
    if (existing !== undefined) return existing
    if (audience.kind === 'person') this.dropIdlePerson()
    const state = new ThreadState(key, audience, this.hasHistory(audience), this.firstMark(key, audience))
    if (audience.kind === 'person') this.privateHistory.addThread(state)
    this.byKey.set(key, state)
    return state
  }

  /** Of too many people, drops the one without text of the person who was read and wrote longest ago. */
  private dropIdlePerson(): void {
    const people = this.people()
    if (people.length < MAX_PEOPLE) return
    const rank = ({ thread: { unread, latest } }: ThreadState) => (unread > 0 ? 1e15 : 0) + latest
    const [idle] = people.filter(({ key, hasUnsentText }) => key !== this.openKey && !hasUnsentText).sort((one, other) => rank(one) - rank(other))
    if (idle === undefined) return
    this.privateHistory.dropThread()
    this.drop(idle.key)
  }

  /** Drops a thread, but not how far it was read. */
  private drop(key: string): void {
    const position = this.byKey.get(key)?.readPosition
    this.byKey.delete(key)
    if (position === undefined) return
    this.marks.delete(key)
    this.marks.set(key, position)
    const [oldest] = this.marks.keys()
    if (this.marks.size > MAX_MARKS && oldest !== undefined) this.marks.delete(oldest)
  }

  /** Where a thread was left; `undefined` if it has, or may have, a history and was never seen. */
  private firstMark(key: string, audience: Audience): ReadMark | undefined {
    const position = this.marks.get(key) ?? (audience.kind === 'person' ? this.privateHistory.mark : undefined)
    if (position !== undefined) return { position, sequence: 0 }
    return this.features === undefined || this.hasHistory(audience) ? undefined : { position: '', sequence: 0 }
  }
}
