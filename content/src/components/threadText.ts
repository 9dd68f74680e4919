// Texts about a thread: its name, its last message and its number of unread messages.
import type { Audience, Sender } from '../chat/message'
import { nameOf } from '../chat/message'
import type { MessageEntry, Thread } from '../chat/thread'

/** More characters than fit in the line. */
const PREVIEW = /^.{0,80}/su
const MAX_SHOWN_UNREAD = 999

export function threadName(audience: Audience): string {
  switch (audience.kind) {
    case 'everyone': return 'Everyone'
    case 'room': return `#${audience.room}`
    case 'person': return audience.userId
  }
}

/** The draft or the last message, as far as one line can show it; empty if there is neither. */
export function threadPreview({ typed, entries }: Pick<Thread, 'typed' | 'entries'>): string {
  if (typed.trim() !== '') return `Draft: ${startOf(typed)}`
  const last = entries.findLast(entry => entry.kind === 'message')
  return last?.kind === 'message' ? messagePreview(last) : ''
}

/** The number of unread messages, such as `3` or `50+`. */
export function unreadText(unread: number, hasMore: boolean): string {
  if (unread > MAX_SHOWN_UNREAD) return `${MAX_SHOWN_UNREAD}+`
  return hasMore ? `${unread}+` : `${unread}`
}

/** The unread messages of all `threads`, such as `53+`; empty if there are none. */
export function sumOfUnread(threads: readonly Thread[]): string {
  const sum = threads.reduce((before, { unread }) => before + unread, 0)
  return sum === 0 ? '' : unreadText(sum, threads.some(({ hasMoreUnread }) => hasMoreUnread))
}

function messagePreview({ message, delivery }: MessageEntry): string {
  if (message.isRemoved === true) return 'Message removed'
  if (delivery !== undefined) return `You: ${startOf(message.text)}`
  return message.audience.kind === 'person' ? startOf(message.text) : `${shortName(message.sender)}: ${startOf(message.text)}`
}

/** The part of a name that leaves room for the text: the name before `@`. A guest can have any name, so the line says that it is one. */
function shortName(sender: Sender): string {
  const name = startOf(nameOf(sender))
  return sender.kind === 'guest' ? `${name} (guest)` : name.replace(/(?<=.)@.*/su, '')
}

function startOf(text: string): string {
  return PREVIEW.exec(text)?.[0] ?? ''
}
