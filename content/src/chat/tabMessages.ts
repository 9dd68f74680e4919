// Saves the newest messages of threads without a history in the tab, so that a reload shows them again.
import { parseJson } from './api'
import { parseMessage } from './message'
import type { Message, Sender } from './message'
import { ownerOf } from './storage'
import type { Thread } from './thread'
import type { TabStorage } from '../tabStorage'

const MESSAGES = 'chat.messages'
/** How many messages of a thread are kept. */
export const MAX_KEPT = 100
const NOTHING = { messages: [], savedAt: undefined }

export interface TabMessages {
  readonly messages: readonly Message[]
  /** When they were saved: messages since then are missing. `undefined` if nothing was saved. */
  readonly savedAt: Date | undefined
}

/** Saves the published messages of `threads`. Errors of the storage are ignored. */
export function saveMessages(storage: TabStorage, me: Sender, threads: readonly Thread[], now: Date): void {
  const messages = threads.flatMap(({ entries }) => {
    const published = entries.flatMap(entry => (entry.kind === 'message' && (entry.delivery?.kind ?? 'sent') === 'sent' ? [entry.message] : []))
    return published.slice(-MAX_KEPT).map(toRaw)
  })
  try {
    if (messages.length === 0) storage.removeItem(MESSAGES)
    else storage.setItem(MESSAGES, JSON.stringify({ owner: ownerOf(me), savedAt: now, messages }))
  } catch {
    // Out of space: the messages are still on the screen.
  }
}

/** Loads what was saved for `me`. */
export function loadMessages(storage: TabStorage, me: Sender): TabMessages {
  const raw = parseJson(storage.getItem(MESSAGES) ?? 'null')
  if (typeof raw !== 'object' || raw === null || !('owner' in raw && 'messages' in raw && 'savedAt' in raw)) return NOTHING
  if (raw.owner !== ownerOf(me) || !Array.isArray(raw.messages) || typeof raw.savedAt !== 'string') return NOTHING
  return { messages: raw.messages.flatMap(message => parseMessage(message) ?? []), savedAt: new Date(raw.savedAt) }
}

/** Removes everything that was saved. */
export function clearMessages(storage: TabStorage): void {
  storage.removeItem(MESSAGES)
}

/** The message as the API sends it. */
function toRaw({ id, sender, audience, text, sentAt }: Message): object {
  const from = sender.kind === 'user' ? { sender: sender.userId } : { sender: '', isGuest: true, nickname: sender.nickname }
  const to = audience.kind === 'person' ? { recipient: audience.userId, isPrivate: true } : audience.kind === 'room' ? { room: audience.room } : {}
  return { id, ...from, ...to, text, sentAt }
}
