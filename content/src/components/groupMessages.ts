// Turns the entries of a conversation into rows: with a separator for each day and for new messages, and with consecutive
// messages of one sender grouped under one name.
import type { Entry, MessageEntry } from '../chat/conversations'
import type { Message } from '../chat/message'

export type Row =
  | { readonly kind: 'day', readonly key: string, readonly label: string }
  | { readonly kind: 'new', readonly key: string }
  | { readonly kind: 'gap', readonly key: string, readonly label: string }
  | { readonly kind: 'message', readonly key: string, readonly entry: MessageEntry, readonly sameSender: boolean, readonly time: string }

const SAME_SENDER_INTERVAL_MS = 5 * 60_000
const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })

/** Formatting takes longer than all else here, so each message is formatted once. */
const formatted = new WeakMap<Message, { readonly day: string, readonly time: string }>()

function format(message: Message) {
  const known = formatted.get(message)
  if (known !== undefined) return known
  const texts = { day: message.sentAt.toDateString(), time: TIME.format(message.sentAt) }
  formatted.set(message, texts)
  return texts
}

/** The rows for `entries`. The separator for new messages is before the message with the key `firstUnread`. */
export function groupMessages(entries: readonly Entry[], firstUnread: string | undefined, now: Date): Row[] {
  const rows: Row[] = []
  let day = ''
  let previous: MessageEntry | undefined
  for (const entry of entries) {
    if (entry.kind === 'gap') {
      rows.push({ kind: 'gap', key: entry.key, label: gapLabel(entry.from, entry.until) })
      previous = undefined
      continue
    }
    const { key, message } = entry
    const texts = format(message)
    if (texts.day !== day) {
      day = texts.day
      rows.push({ kind: 'day', key: `day ${day} ${key}`, label: day === now.toDateString() ? 'Today' : DAY.format(message.sentAt) })
      previous = undefined
    }
    if (key === firstUnread) {
      rows.push({ kind: 'new', key: `new ${key}` })
      previous = undefined
    }
    // An own message's key may change when it is published; the row key must not, or its element is replaced.
    const rowKey = entry.delivery === undefined ? key : `own ${message.id}`
    rows.push({ kind: 'message', key: rowKey, entry, sameSender: isSameSender(previous, entry), time: texts.time })
    previous = entry
  }
  return rows
}

function isSameSender(previous: MessageEntry | undefined, { delivery, message: { sender, sentAt } }: MessageEntry): boolean {
  if (previous === undefined || delivery !== undefined || previous.delivery !== undefined) return false
  const before = previous.message
  // Two guests may have the same nickname, so their messages are not grouped.
  const isSame = sender.kind === 'user' && before.sender.kind === 'user' && sender.userId === before.sender.userId
  return isSame && sentAt.getTime() - before.sentAt.getTime() < SAME_SENDER_INTERVAL_MS
}

function gapLabel(from: Date, until: Date): string {
  const [start, end] = [TIME.format(from), TIME.format(until)]
  const when = start === end ? `for a moment at ${start}` : `from ${start} to ${end}`
  return `You were offline ${when}. Messages from that time are not shown.`
}
