// The messages of each conversation: one with everyone, and one with each person.
// Plain functions over plain data, which Vue may make reactive. Everything is in memory, and every list has a maximum length.
import { messageKey } from './message'
import type { Audience, Message } from './message'
import type { Delivery } from './outbox'

/** A message as shown. `delivery` is `undefined` for messages of others. */
export interface MessageEntry {
  readonly kind: 'message'
  key: string
  message: Message
  delivery: Delivery | undefined
}

/** A time without connection. Messages from that time are missing, because the service stores none. */
export interface Gap {
  readonly kind: 'gap'
  readonly key: string
  readonly from: Date
  until: Date
}

export type Entry = MessageEntry | Gap

export interface Conversation {
  readonly key: string
  readonly audience: Audience
  readonly entries: Entry[]
  /** The text in the composer. */
  typed: string
  /** Number of messages that arrived while the conversation was not visible. */
  unread: number
  /** Key of the first of them; kept after reading, to mark where the new messages begin. */
  firstUnread: string | undefined
}

export const MAX_ENTRIES = 500
export const MAX_CONVERSATIONS = 100

/** The key of the conversation in which the sender of a message for `audience` sees it. */
export function conversationKey(audience: Audience): string {
  return audience.kind === 'everyone' ? 'everyone' : `person ${audience.userId}`
}

/** Finds the conversation for `audience`, or adds it; a full list first drops a conversation without unsent text. */
export function conversationFor(conversations: Conversation[], audience: Audience): Conversation {
  const key = conversationKey(audience)
  const existing = find(conversations, key)
  if (existing !== undefined) return existing
  if (conversations.length >= MAX_CONVERSATIONS) {
    const idle = conversations.findIndex(({ audience: { kind }, typed, entries }) =>
      kind === 'person' && typed === '' && !entries.some(isUnsent))
    if (idle !== -1) conversations.splice(idle, 1)
  }
  conversations.push({ key, audience, entries: [], typed: '', unread: 0, firstUnread: undefined })
  // Read from the list again: a reactive list returns a reactive conversation.
  return find(conversations, key) ?? conversationFor(conversations, audience)
}

/** Adds an entry; a full conversation drops its oldest entry that is not an unsent message. */
export function append(conversation: Conversation, entry: Entry): void {
  conversation.entries.push(entry)
  if (conversation.entries.length <= MAX_ENTRIES) return
  const oldest = conversation.entries.findIndex(old => !isUnsent(old))
  conversation.entries.splice(Math.max(oldest, 0), 1)
}

/** Counts the message with this key as unread. */
export function markUnread(conversation: Conversation, key: string): void {
  if (conversation.unread === 0) conversation.firstUnread = key
  conversation.unread += 1
}

/** Finds a message by its key in all conversations. */
export function findMessage(conversations: Conversation[], key: string): MessageEntry | undefined {
  for (const { entries } of conversations) {
    for (const entry of entries) if (entry.kind === 'message' && entry.key === key) return entry
  }
  return undefined
}

/** Removes a message by its key from all conversations. */
export function removeMessage(conversations: Conversation[], key: string): void {
  for (const { entries } of conversations) {
    const at = entries.findIndex(entry => entry.kind === 'message' && entry.key === key)
    if (at !== -1) entries.splice(at, 1)
  }
}

/** Adds a gap to every conversation that has entries; a gap that follows a gap extends it. */
export function addGap(conversations: Conversation[], from: Date, until: Date): void {
  for (const conversation of conversations) {
    const last = conversation.entries.at(-1)
    if (last === undefined) continue
    if (last.kind === 'gap') last.until = until
    else append(conversation, { kind: 'gap', key: `gap ${from.toISOString()}`, from, until })
  }
}

/**
 * Adds a message from the hub to its conversation and returns that conversation. Returns `undefined` for a duplicate: the first
 * message with a key stays, and a later one cannot replace it. `me` is the user id of the reader, if signed in.
 */
export function receiveMessage(conversations: Conversation[], message: Message, me: string | undefined): Conversation | undefined {
  const key = messageKey(message)
  if (findMessage(conversations, key) !== undefined) return undefined
  const isMine = message.sender.kind === 'user' && message.sender.userId === me
  const audience = message.audience.kind === 'person' && !isMine && message.sender.kind === 'user'
    ? { kind: 'person', userId: message.sender.userId } as const
    : message.audience
  const conversation = conversationFor(conversations, audience)
  append(conversation, { kind: 'message', key, message, delivery: isMine ? { kind: 'sent' } : undefined })
  return conversation
}

function find(conversations: Conversation[], key: string): Conversation | undefined {
  return conversations.find(conversation => conversation.key === key)
}

function isUnsent(entry: Entry): boolean {
  return entry.kind === 'message' && entry.delivery !== undefined && entry.delivery.kind !== 'sent'
}
