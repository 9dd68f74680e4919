// The people that are offered when a private conversation is started.
import type { Sender } from './message'
import type { Thread } from './thread'

/** How many people `knownPeople` returns. */
export const MAX_KNOWN_PEOPLE = 100

/** User ids to write to in private: those with whom `threads` are, then senders of messages, the latest first; no guests. */
export function knownPeople(threads: readonly Thread[], me: Sender): readonly string[] {
  const people = new Set<string>()
  const add = (userId: string) => {
    if (people.size < MAX_KNOWN_PEOPLE && !(me.kind === 'user' && me.userId === userId)) people.add(userId)
  }
  const latestFirst = [...threads].reverse()
  for (const { audience } of latestFirst) if (audience.kind === 'person') add(audience.userId)
  for (const { entries } of latestFirst) {
    for (const entry of [...entries].reverse()) if (entry.kind === 'message' && entry.message.sender.kind === 'user') add(entry.message.sender.userId)
  }
  return [...people]
}
