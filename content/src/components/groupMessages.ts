// Turns the entries of a thread into rows: with a separator for each day and for new messages, and with consecutive messages of one
// sender as a group. A row depends on the entries beside it, not on which entries are shown.
import type { Entry, GapEntry, HoleEntry, MessageEntry } from '../chat/thread'
import type { Message } from '../chat/message'
import type { Range } from './messageWindow'

export interface MessageRow {
  readonly kind: 'message'
  readonly key: string
  readonly entry: MessageEntry
  readonly isGroupStart: boolean
  readonly isGroupEnd: boolean
  readonly time: MessageTime
}

export type Row =
  | { readonly kind: 'day', readonly key: string, readonly label: string }
  | { readonly kind: 'new', readonly key: string }
  | { readonly kind: 'gap', readonly key: string, readonly label: string }
  | { readonly kind: 'hole', readonly key: string, readonly hole: HoleEntry }
  | MessageRow

export interface MessageTime {
  /** The day as a number that grows, such as 20261127. */
  readonly day: number
  readonly time: string
  /** Day and time. */
  readonly full: string
  /** For the attribute `datetime`. */
  readonly iso: string
}

const SAME_GROUP_INTERVAL_MS = 5 * 60_000
const TIME = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const DAY_OF_ANOTHER_YEAR = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })

/** Formatting takes longer than all else here, so each message is formatted once. */
const times = new WeakMap<Message, MessageTime>()
/** The last row of each entry: an entry whose row is the same object needs no new look by Vue. */
const messageRows = new WeakMap<MessageEntry, MessageRow>()

/** The rows for the entries in `range`. The separator for new messages is before the entry with the key `firstUnread`. */
export function groupMessages(entries: readonly Entry[], { start, end }: Range, firstUnread: string | undefined, now: Date): Row[] {
  const rows: Row[] = []
  let day = dayBefore(entries, start)
  for (let at = start; at < end; at += 1) {
    const entry = entries[at]
    if (entry === undefined) break
    const before = dayAfter(day, entry)
    if (entry.kind === 'message' && before > day) {
      day = before
      rows.push({ kind: 'day', key: `day ${day}`, label: dayLabel(entry.message.sentAt, now) })
    }
    if (entry.key === firstUnread) rows.push({ kind: 'new', key: 'new' })
    if (entry.kind === 'gap') rows.push({ kind: 'gap', key: entry.key, label: gapLabel(entry) })
    else if (entry.kind === 'hole') rows.push({ kind: 'hole', key: entry.key, hole: entry })
    else rows.push(rowOf(entry, !isSameGroup(entries[at - 1], entry, firstUnread), !isSameGroup(entry, entries[at + 1], firstUnread)))
  }
  return rows
}

function rowOf(entry: MessageEntry, isGroupStart: boolean, isGroupEnd: boolean): MessageRow {
  const known = messageRows.get(entry)
  if (known?.isGroupStart === isGroupStart && known.isGroupEnd === isGroupEnd) return known
  // An own message's key may change when it is published; the row key must not, or its element is replaced.
  const key = entry.delivery === undefined ? entry.key : `own ${entry.message.id}`
  const row = { kind: 'message', key, entry, isGroupStart, isGroupEnd, time: timeOf(entry.message) } as const
  messageRows.set(entry, row)
  return row
}

function timeOf(message: Message): MessageTime {
  const known = times.get(message)
  if (known !== undefined) return known
  const { sentAt } = message
  const day = sentAt.getFullYear() * 10_000 + (sentAt.getMonth() + 1) * 100 + sentAt.getDate()
  // A narrow space that breaks no line is before "PM" in some languages; in the margin the time needs two lines.
  const time = { day, time: TIME.format(sentAt).replace('\u202f', ' '), full: FULL.format(sentAt), iso: sentAt.toISOString() }
  times.set(message, time)
  return time
}

/** The day that is shown above the entry at `index`; 0 if there is no message before it. */
function dayBefore(entries: readonly Entry[], index: number): number {
  for (let at = index - 1; at >= 0; at -= 1) {
    const entry = entries[at]
    if (entry?.kind === 'message') return timeOf(entry.message).day
  }
  return 0
}

/** Days only grow, so that each has one separator, even if the clocks of two computers differ at midnight. */
function dayAfter(day: number, entry: Entry): number {
  return entry.kind === 'message' ? Math.max(day, timeOf(entry.message).day) : day
}

function isSameGroup(first: Entry | undefined, second: Entry | undefined, firstUnread: string | undefined): boolean {
  if (first?.kind !== 'message' || second?.kind !== 'message' || second.key === firstUnread) return false
  const [a, b] = [first.message, second.message]
  if (timeOf(a).day !== timeOf(b).day || b.sentAt.getTime() - a.sentAt.getTime() >= SAME_GROUP_INTERVAL_MS) return false
  if (first.delivery !== undefined || second.delivery !== undefined) return first.delivery !== undefined && second.delivery !== undefined
  // Two guests may have the same nickname, so their messages are not grouped.
  return a.sender.kind === 'user' && b.sender.kind === 'user' && a.sender.userId === b.sender.userId
}

function dayLabel(date: Date, now: Date): string {
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1)
  if (date.toDateString() === now.toDateString()) return 'Today'
  if (date.toDateString() === yesterday.toDateString()) return 'Yesterday'
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_OF_ANOTHER_YEAR).format(date)
}

function gapLabel({ from, until }: GapEntry): string {
  const [start, end] = [TIME.format(from), TIME.format(until)]
  const when = start === end ? `for a moment at ${start}` : `from ${start} to ${end}`
  return `You were offline ${when}. What was written then is not shown.`
}
