// What a list without messages says: that there are none is said only if that is known.
import type { Status } from '../chat/connection'
import type { Thread } from '../chat/thread'

export interface EmptyText {
  readonly title: string
  readonly text: string
}

/** `isKnown`: whether it is known if the thread has a history. */
export function emptyText({ audience, older }: Pick<Thread, 'audience' | 'older'>, receiving: Status['kind'], isKnown: boolean): EmptyText {
  if (receiving === 'unauthenticated') return { title: 'Sign in to read and write here.', text: '' }
  if (receiving === 'connecting') return { title: 'Connecting…', text: 'You can start writing.' }
  if (receiving !== 'connected') return { title: 'Not connected yet.', text: 'Messages are shown when there is a connection. You can start writing.' }
  if (older.kind === 'more' && older.state === 'failed') return { title: 'Messages could not be loaded.', text: '' }
  if (!isKnown || older.kind === 'more') return { title: 'Loading messages…', text: '' }
  if (audience.kind === 'person') {
    const title = `No messages with ${audience.userId} yet.`
    return { title, text: older.kind === 'none' ? 'Only the two of you see what is written here, and only while you are online.' : 'Only the two of you can read what is written here.' }
  }
  return { title: 'No messages yet.', text: older.kind === 'none' ? 'Say hello. This page shows what is written while it is open.' : 'Say hello.' }
}
