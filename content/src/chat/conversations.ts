// The messages of each conversation: one with everyone, and one with each person. Everything is in memory, and every list has a
// maximum length. Conversations and entries are immutable values that are replaced when they change. The work per message does not
// depend on the number of messages that are there.
import { messageKey } from './message'
import type { Audience, Message, Sender } from './message'
import type { Delivery } from './outbox'

/** A message as shown. `delivery` is `undefined` for messages of others. */
export interface MessageEntry {
  readonly kind: 'message'
  readonly key: string
  readonly message: Message
  readonly delivery: Delivery | undefined
}

/** A time without connection. Messages from that time are missing, because the page does not read the history. */
export interface Gap {
  readonly kind: 'gap'
  readonly key: string
  readonly from: Date
  readonly until: Date
}

export type Entry = MessageEntry | Gap

export interface Conversation {
  readonly key: string
  readonly audience: Audience
  readonly entries: readonly Entry[]
  /** The text in the composer. */
  readonly typed: string
  /** Number of messages of others that have arrived. */
  readonly arrived: number
  /** Number of messages that arrived while the conversation was not visible. */
  readonly unread: number
  /** Key of the first of them; kept after reading, to mark where the new messages begin. */
  readonly firstUnread: string | undefined
}

export const MAX_ENTRIES = 500
export const MAX_CONVERSATIONS = 100
/** How many people `knownPeople` returns. */
export const MAX_KNOWN_PEOPLE = 100

const EVERYONE = 'everyone'

/** The key of the conversation in which the sender of a message for `audience` sees it. */
export function conversationKey(audience: Audience): string {
  return audience.kind === 'everyone' ? EVERYONE : `person ${audience.userId}`
}

/** The conversations of `me`, and which of them is open. */
export class Conversations {
  /** By key, in the order in which they began. */
  private readonly byKey = new Map<string, Conversation>()
  /** The key of the conversation of each message, by the key of the message. */
  private readonly places = new Map<string, string>()
  private openAudience: Audience = { kind: 'everyone' }

  constructor(private readonly me: Sender) {
    this.conversationFor(this.openAudience)
  }

  /** All conversations; a new list after each call. */
  get list(): readonly Conversation[] {
    return [...this.byKey.values()]
  }

  /** The open conversation. */
  get current(): Conversation {
    return this.conversationFor(this.openAudience)
  }

  /** Opens the conversation for `audience`, which is added if there is none. */
  open(audience: Audience): void {
    this.markOld()
    this.openAudience = audience
    this.conversationFor(audience)
  }

  /** Removes the mark where the new messages of the open conversation begin. */
  markOld(): void {
    if (this.current.firstUnread !== undefined) this.update(this.current, { firstUnread: undefined })
  }

  /** Marks the open conversation as read. */
  markRead(): void {
    if (this.current.unread > 0) this.update(this.current, { unread: 0 })
  }

  /** Sets the typed text of the conversation for `audience`. */
  write(audience: Audience, typed: string): void {
    this.update(this.conversationFor(audience), { typed })
  }

  /** Finds a message by its key. */
  findMessage(key: string): MessageEntry | undefined {
    const conversation = this.byKey.get(this.places.get(key) ?? '')
    return conversation?.entries.findLast(entry => isMessage(entry, key))
  }

  /** Adds a message that will be sent. */
  addOwn(message: Message): void {
    this.append(message.audience, [this.entryOf(message, { kind: 'sending' })])
  }

  /** Sets the state of an own message. */
  setDelivery(key: string, delivery: Delivery): void {
    this.replace(key, entry => ({ ...entry, delivery }))
  }

  /** Replaces the own message with `key` by the published one. */
  setPublished(key: string, message: Message, delivery: Delivery): void {
    const publishedKey = messageKey(message)
    // If the server spells the user id differently, the message may have arrived under that key already.
    if (publishedKey !== key) this.remove(publishedKey)
    this.replace(key, entry => ({ ...entry, key: publishedKey, message: { ...message, audience: entry.message.audience }, delivery }))
  }

  /** Removes a message by its key. */
  remove(key: string): void {
    const conversation = this.byKey.get(this.places.get(key) ?? '')
    if (conversation === undefined) return
    this.places.delete(key)
    this.update(conversation, { entries: conversation.entries.filter(entry => !isMessage(entry, key)) })
  }

  /**
   * Adds messages from the hub, each to its conversation, and returns the conversations in which the number of unread messages has
   * changed. The first message with a key stays: a later one is a duplicate. `isVisible`: the open conversation is on the screen.
   */
  receive(messages: readonly Message[], isVisible: boolean): readonly Conversation[] {
    const arrivals = new Map<string, { readonly audience: Audience, readonly entries: MessageEntry[] }>()
    for (const message of messages) {
      if (this.places.has(messageKey(message))) continue
      const isMine = this.isMine(message)
      const audience = this.audienceOf(message, isMine)
      const key = conversationKey(audience)
      const arrival = arrivals.get(key) ?? { audience, entries: [] }
      arrivals.set(key, arrival)
      arrival.entries.push(this.entryOf(message, isMine ? { kind: 'sent' } : undefined, key))
    }
    const unread: Conversation[] = []
    for (const { audience, entries } of arrivals.values()) {
      const conversation = this.append(audience, entries)
      const others = entries.filter(({ delivery }) => delivery === undefined)
      const [first] = others
      if (first === undefined) continue
      const arrived = conversation.arrived + others.length
      if (isVisible && conversation.key === conversationKey(this.openAudience)) {
        this.update(conversation, { arrived })
        continue
      }
      const firstUnread = conversation.unread === 0 ? first.key : conversation.firstUnread
      unread.push(this.update(conversation, { arrived, unread: conversation.unread + others.length, firstUnread }))
    }
    return unread
  }

  /** Adds a gap to every conversation that has entries; a gap that follows a gap extends it. */
  addGap(from: Date, until: Date): void {
    for (const conversation of this.byKey.values()) {
      const last = conversation.entries.at(-1)
      if (last?.kind === 'gap') this.update(conversation, { entries: [...conversation.entries.slice(0, -1), { ...last, until }] })
      else if (last !== undefined) this.append(conversation.audience, [{ kind: 'gap', key: `gap ${from.toISOString()}`, from, until }])
    }
  }

  private isMe(userId: string): boolean {
    return this.me.kind === 'user' && this.me.userId === userId
  }

  private isMine({ sender }: Message): boolean {
    return sender.kind === 'user' && this.isMe(sender.userId)
  }

  /** A private message of another person belongs to the conversation with that person. */
  private audienceOf({ audience, sender }: Message, isMine: boolean): Audience {
    return audience.kind === 'person' && sender.kind === 'user' && !isMine ? { kind: 'person', userId: sender.userId } : audience
  }

  private entryOf(message: Message, delivery: Delivery | undefined, place = conversationKey(message.audience)): MessageEntry {
    const key = messageKey(message)
    this.places.set(key, place)
    return { kind: 'message', key, message, delivery }
  }

  /** Finds the conversation for `audience`, or adds it; a full list first drops the oldest that is not open and has no unsent text. */
  private conversationFor(audience: Audience): Conversation {
    const key = conversationKey(audience)
    const existing = this.byKey.get(key)
    if (existing !== undefined) return existing
    if (this.byKey.size >= MAX_CONVERSATIONS) {
      const openKey = conversationKey(this.openAudience)
      const idle = this.list.find(({ key, typed, entries }) => key !== EVERYONE && key !== openKey && typed === '' && !entries.some(isUnsent))
      if (idle !== undefined) this.drop(idle)
    }
    const conversation = { key, audience, entries: [], typed: '', arrived: 0, unread: 0, firstUnread: undefined }
    this.byKey.set(key, conversation)
    return conversation
  }

  private drop({ key, entries }: Conversation): void {
    this.byKey.delete(key)
    for (const entry of entries) this.places.delete(entry.key)
  }

  /** Adds entries; a full conversation drops its oldest entries that are not unsent messages. */
  private append(audience: Audience, added: readonly Entry[]): Conversation {
    const conversation = this.conversationFor(audience)
    const entries = [...conversation.entries, ...added]
    let excess = entries.length - MAX_ENTRIES
    if (excess <= 0) return this.update(conversation, { entries })
    return this.update(conversation, {
      entries: entries.filter((entry) => {
        if (excess <= 0 || isUnsent(entry)) return true
        excess -= 1
        this.places.delete(entry.key)
        return false
      }),
    })
  }

  private replace(key: string, change: (entry: MessageEntry) => MessageEntry): void {
    const conversation = this.byKey.get(this.places.get(key) ?? '')
    const at = conversation?.entries.findLastIndex(entry => isMessage(entry, key)) ?? -1
    const entry = conversation?.entries[at]
    if (conversation === undefined || entry?.kind !== 'message') return
    const changed = change(entry)
    this.places.delete(key)
    this.places.set(changed.key, conversation.key)
    this.update(conversation, { entries: conversation.entries.map(old => (old === entry ? changed : old)) })
  }

  private update(conversation: Conversation, change: Partial<Conversation>): Conversation {
    const changed = { ...conversation, ...change }
    this.byKey.set(changed.key, changed)
    return changed
  }
}

function isMessage(entry: Entry, key: string): entry is MessageEntry {
  return entry.kind === 'message' && entry.key === key
}

function isUnsent(entry: Entry): boolean {
  return entry.kind === 'message' && entry.delivery !== undefined && entry.delivery.kind !== 'sent'
}

/** User ids to write to in private: those with whom `conversations` are, then senders of messages, the latest first; no guests. */
export function knownPeople(conversations: readonly Conversation[], me: Sender): readonly string[] {
  const people = new Set<string>()
  const add = (userId: string) => {
    if (people.size < MAX_KNOWN_PEOPLE && !(me.kind === 'user' && me.userId === userId)) people.add(userId)
  }
  const latestFirst = [...conversations].reverse()
  for (const { audience } of latestFirst) if (audience.kind === 'person') add(audience.userId)
  for (const { entries } of latestFirst) {
    for (const entry of [...entries].reverse()) if (entry.kind === 'message' && entry.message.sender.kind === 'user') add(entry.message.sender.userId)
  }
  return [...people]
}
