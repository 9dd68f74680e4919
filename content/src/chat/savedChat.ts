// What the chat of one person keeps in the tab and in the browser: unsent text, messages that are in no history, read marks and rooms.
import type { Draft, Message, Sender } from './message'
import { loadSaved, saveTyped, saveUnsent } from './storage'
import { loadMessages, saveMessages } from './tabMessages'
import type { Thread } from './thread'
import type { Threads } from './threads'
import { forgetRoom, rememberRoom, saveMarks } from './visit'
import type { Visit } from './visit'
import type { TabStorage } from '../tabStorage'

export interface SavedChatOptions {
  readonly me: Sender
  readonly threads: Threads
  /** What was saved at the last visit. */
  readonly visit: Visit
  /** Of the tab. */
  readonly storage: TabStorage
  /** Of the browser. */
  readonly visits: TabStorage
}

const SAVE_DELAY_MS = 1000

export class SavedChat {
  private messages
  private timer: ReturnType<typeof setTimeout> | undefined
  /** Whether it is known which threads have a history: before that, there is nothing to add to what was saved. */
  private isStarted = false
  private isClosed = false

  constructor(private readonly options: SavedChatOptions) {
    this.messages = loadMessages(options.storage, options.me)
  }

  /** Restores the messages and texts of the tab; returns what was not sent. The messages of rooms come with `restoreRooms`. */
  restore(): readonly Draft[] {
    const { storage, me, threads } = this.options
    this.restoreMessages(false)
    const { typed, unsent } = loadSaved(storage, me)
    for (const { audience, text } of typed) threads.write(audience, text)
    return unsent
  }

  /** The rooms to enter: those of the last visit, and those with unsent text. */
  get rooms(): readonly string[] {
    const { visit, threads } = this.options
    return [...new Set([...visit.rooms, ...threads.list.flatMap(({ audience }) => (audience.kind === 'room' ? [audience.room] : []))])]
  }

  /** Restores the messages of rooms, which have to be there. */
  restoreRooms(): void {
    this.restoreMessages(true)
  }

  rememberRoom(room: string): void {
    rememberRoom(this.options.visits, this.options.me, room)
  }

  forgetRoom(room: string): void {
    forgetRoom(this.options.visits, this.options.me, room)
  }

  saveTyped(): void {
    const { storage, me, threads } = this.options
    saveTyped(storage, me, threads.list.filter(({ typed }) => typed !== '').map(({ audience, typed }) => ({ audience, text: typed })))
  }

  saveUnsent(drafts: readonly Draft[]): void {
    saveUnsent(this.options.storage, this.options.me, drafts)
  }

  /** To be called when it is known which threads have a history. */
  start(): void {
    this.isStarted = true
  }

  /** Saves the rest within a second. */
  saveSoon(): void {
    if (!this.isClosed) this.timer ??= setTimeout(() => { this.save() }, SAVE_DELAY_MS)
  }

  /** Saves what the next visit and a reload need. */
  save(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (!this.isStarted || this.isClosed) return
    const { storage, visits, me, threads } = this.options
    saveMarks(visits, me, threads.readMarks)
    saveMessages(storage, me, this.withoutHistory(threads.list), new Date())
  }

  /** Saves nothing any more. */
  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
  }

  private restoreMessages(ofRooms: boolean): void {
    const { threads } = this.options
    const { messages, savedAt } = this.messages
    if (savedAt === undefined) return
    const isNow = ({ audience }: Message) => (audience.kind === 'room') === ofRooms
    threads.restore(this.withoutHistory(messages.filter(isNow)), savedAt, new Date())
    this.messages = { messages: messages.filter(message => !isNow(message)), savedAt }
  }

  private withoutHistory<T extends Pick<Thread, 'audience'>>(all: readonly T[]): readonly T[] {
    return all.filter(({ audience }) => !this.options.threads.hasHistory(audience))
  }
}
