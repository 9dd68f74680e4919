// A thread as the page shows it: the messages to everyone, in one room, or with one person.
import type { Audience, Message } from './message'
import type { Delivery } from './outbox'

/** A message as shown. `delivery` is `undefined` for messages of others. */
export interface MessageEntry {
  readonly kind: 'message'
  readonly key: string
  readonly message: Message
  readonly delivery: Delivery | undefined
}

/** Messages that are in the history and not loaded, between the positions `from` and `until`. */
export interface HoleEntry {
  readonly kind: 'hole'
  readonly key: string
  readonly from: string
  readonly until: string
  readonly state: LoadState
}

/** A time without connection in a thread that has no history: what was written then is not here. */
export interface GapEntry {
  readonly kind: 'gap'
  readonly key: string
  readonly from: Date
  readonly until: Date
}

export type Entry = MessageEntry | HoleEntry | GapEntry

/** `idle`: nothing is asked; `loading`; `failed`: the last request failed, and a person can repeat it. */
export type LoadState = 'idle' | 'loading' | 'failed'

/**
 * What is before the first entry. `beginning`: nothing; `more`: older messages that can be loaded; `lost`: they were there and are no
 * longer kept; `none`: the thread has no history.
 */
export type Older = { readonly kind: 'beginning' | 'lost' | 'none' } | { readonly kind: 'more', readonly state: LoadState }

/** An immutable value that is replaced when something changes; the entries that have not changed stay the same objects. */
export interface Thread {
  readonly key: string
  readonly audience: Audience
  /** The oldest first. Own unsent messages are at the end. */
  readonly entries: readonly Entry[]
  readonly older: Older
  /** The text in the composer. */
  readonly typed: string
  /** Number of messages of others that were not read. */
  readonly unread: number
  /** Whether there are further unread messages that are not loaded: `unread` is the least number. */
  readonly hasMoreUnread: boolean
  /** Key of the first entry that was not read when the thread was opened or the page was hidden. */
  readonly firstUnread: string | undefined
  /** Number of messages of others that have arrived since the page was opened; it does not count older ones that were loaded. */
  readonly arrived: number
  /** When the newest message was sent, in milliseconds since the epoch; 0 without messages. */
  readonly latest: number
}
