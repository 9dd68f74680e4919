// Lays the lines of a conversation out as rows: a rule before each day and before what is new, times in the reader's own way,
// and messages that follow one another from the same sender without repeating the name.
import type { DeepReadonly } from 'vue'
import type { Line, Said } from '../chat/conversations'

export type Row =
  | { readonly kind: 'day', readonly key: string, readonly label: string }
  | { readonly kind: 'new', readonly key: string }
  | { readonly kind: 'gap', readonly key: string, readonly label: string }
  | { readonly kind: 'said', readonly key: string, readonly said: DeepReadonly<Said>, readonly follows: boolean, readonly time: string }

const FOLLOWS_MS = 5 * 60_000
const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })

/** The rows for `lines`, with the rule before the message `firstUnread`; `now` says which day is today. */
export function arrange(lines: DeepReadonly<Line[]>, firstUnread: string | undefined, now: Date): Row[] {
  const rows: Row[] = []
  let day = ''
  let previous: DeepReadonly<Said> | undefined
  for (const line of lines) {
    if (line.kind === 'gap') {
      rows.push({ kind: 'gap', key: line.key, label: gapLabel(line.from, line.until) })
      previous = undefined
      continue
    }
    const { key, message: { id, sentAt } } = line
    if (sentAt.toDateString() !== day) {
      day = sentAt.toDateString()
      rows.push({ kind: 'day', key: `day ${day} ${key}`, label: day === now.toDateString() ? 'Today' : DAY.format(sentAt) })
      previous = undefined
    }
    if (key === firstUnread) {
      rows.push({ kind: 'new', key: `new ${key}` })
      previous = undefined
    }
    // An own message's key may change when it is published; a stable one keeps its element, and with it the reader's place.
    const rowKey = line.delivery === undefined ? key : `own ${id}`
    rows.push({ kind: 'said', key: rowKey, said: line, follows: followsOn(previous, line), time: TIME.format(sentAt) })
    previous = line
  }
  return rows
}

function followsOn(previous: DeepReadonly<Said> | undefined, { delivery, message: { sender, sentAt } }: DeepReadonly<Said>): boolean {
  if (previous === undefined || delivery !== undefined || previous.delivery !== undefined) return false
  const before = previous.message
  // Two guests may share a nickname: each of their messages says again that it is not verified.
  const same = sender.kind === 'user' && before.sender.kind === 'user' && sender.userId === before.sender.userId
  return same && sentAt.getTime() - before.sentAt.getTime() < FOLLOWS_MS
}

function gapLabel(from: Date, until: Date): string {
  const [start, end] = [TIME.format(from), TIME.format(until)]
  const when = start === end ? `for a moment at ${start}` : `from ${start} to ${end}`
  return `You were not connected ${when}. What others wrote then is not shown.`
}
