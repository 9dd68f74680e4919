// What was said, by conversation: one with everyone, and one with each person one writes to privately.
// Plain functions over plain data, which Vue may make reactive. History lives in memory only, and every list has an end.
import { keyOf } from './message'
import type { Audience, Message } from './message'
import type { Delivery } from './outbox'

/** One message as shown. `delivery` is for one's own; it is `undefined` on what others wrote. */
export interface Said {
  readonly kind: 'said'
  key: string
  message: Message
  delivery: Delivery | undefined
}

/** A time without connection: what was said meanwhile is not shown, since the service keeps no history. */
export interface Gap {
  readonly kind: 'gap'
  readonly key: string
  readonly from: Date
  until: Date
}

export type Line = Said | Gap

export interface Conversation {
  readonly key: string
  readonly audience: Audience
  readonly lines: Line[]
  /** What the person has typed and not sent. */
  typed: string
  /** Messages that came in while nobody looked. */
  unread: number
  /** The first of them, kept after it was seen to show where the new begins. */
  firstUnread: string | undefined
}

export const MAX_LINES = 500
export const MAX_CONVERSATIONS = 100

/** The conversation that a message for `audience` belongs to, for the one who wrote it. */
export function conversationKey(audience: Audience): string {
  return audience.kind === 'everyone' ? 'everyone' : `person ${audience.userId}`
}

/** Finds the conversation for `audience`, or begins it at the end of the list, which makes room by forgetting an idle one. */
export function conversationFor(conversations: Conversation[], audience: Audience): Conversation {
  const key = conversationKey(audience)
  const known = find(conversations, key)
  if (known !== undefined) return known
  if (conversations.length >= MAX_CONVERSATIONS) {
    const idle = conversations.findIndex(({ audience: { kind }, typed, lines }) =>
      kind === 'person' && typed === '' && !lines.some(isUnsent))
    if (idle !== -1) conversations.splice(idle, 1)
  }
  conversations.push({ key, audience, lines: [], typed: '', unread: 0, firstUnread: undefined })
  // Read back, so that a reactive list hands out a reactive conversation.
  return find(conversations, key) ?? conversationFor(conversations, audience)
}

/** Adds a line; the oldest goes when the conversation is full, except a message that is not sent yet. */
export function append(conversation: Conversation, line: Line): void {
  conversation.lines.push(line)
  if (conversation.lines.length <= MAX_LINES) return
  const oldest = conversation.lines.findIndex(old => !isUnsent(old))
  conversation.lines.splice(Math.max(oldest, 0), 1)
}

/** Counts `key` as unread. */
export function markUnread(conversation: Conversation, key: string): void {
  if (conversation.unread === 0) conversation.firstUnread = key
  conversation.unread += 1
}

/** Finds a message by its key, in any conversation. */
export function findSaid(conversations: Conversation[], key: string): Said | undefined {
  for (const { lines } of conversations) {
    for (const line of lines) if (line.kind === 'said' && line.key === key) return line
  }
  return undefined
}

/** Takes a message out. */
export function removeSaid(conversations: Conversation[], key: string): void {
  for (const { lines } of conversations) {
    const at = lines.findIndex(line => line.kind === 'said' && line.key === key)
    if (at !== -1) lines.splice(at, 1)
  }
}

/** Notes in every conversation that has begun that the connection was away; gaps with nothing between them are one gap. */
export function markGap(conversations: Conversation[], from: Date, until: Date): void {
  for (const conversation of conversations) {
    const last = conversation.lines.at(-1)
    if (last === undefined) continue
    if (last.kind === 'gap') last.until = until
    else append(conversation, { kind: 'gap', key: `gap ${from.toISOString()}`, from, until })
  }
}

/**
 * Puts what came from the hub where it belongs, once. Returns the conversation it was new to, or `undefined` when it was known:
 * an echo of one's own message, or a repeat. The first message under a key stays; a later one cannot change what was read.
 */
export function receive(conversations: Conversation[], message: Message, me: string | undefined): Conversation | undefined {
  const key = keyOf(message)
  const known = findSaid(conversations, key)
  if (known !== undefined) return undefined
  const mine = message.sender.kind === 'user' && message.sender.userId === me
  const audience = message.audience.kind === 'person' && !mine && message.sender.kind === 'user'
    ? { kind: 'person', userId: message.sender.userId } as const
    : message.audience
  const conversation = conversationFor(conversations, audience)
  append(conversation, { kind: 'said', key, message, delivery: mine ? { kind: 'sent' } : undefined })
  return conversation
}

function find(conversations: Conversation[], key: string): Conversation | undefined {
  return conversations.find(conversation => conversation.key === key)
}

function isUnsent(line: Line): boolean {
  return line.kind === 'said' && line.delivery !== undefined && line.delivery.kind !== 'sent'
}
