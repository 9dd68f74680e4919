// The order in which the entries of a thread are shown. Pure.
import type { Message } from './message'
import type { Entry, GapEntry, HoleEntry, MessageEntry } from './thread'

/** A message in the history. */
export type PlacedEntry = MessageEntry & { readonly message: { readonly place: NonNullable<Message['place']> } }

/** An entry that is not in the history. It is shown behind what ended before `after`. */
export interface LooseEntry {
  readonly after: string
  readonly sequence: number
  readonly entry: MessageEntry | GapEntry
}

/** The index of the first message in the history at or behind a position. */
export function indexOfPosition(placed: readonly PlacedEntry[], position: string): number {
  let [low, high] = [0, placed.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((placed[middle]?.message.place.at ?? '') < position) low = middle + 1
    else high = middle
  }
  return low
}

/** All entries but unsent messages. `placed` is sorted, `loose` is in the order of arrival. */
export function orderEntries(placed: readonly PlacedEntry[], holes: readonly HoleEntry[], loose: readonly LooseEntry[]): readonly Entry[] {
  if (holes.length + loose.length === 0) return placed
  // Sorting keeps the order of what belongs to the same position: holes first.
  const others = [...holes.map(entry => ({ before: entry.until, entry })), ...loose.map(({ after, entry }) => ({ before: after, entry }))]
  others.sort((one, other) => (one.before < other.before ? -1 : Number(one.before > other.before)))
  const entries: Entry[] = []
  let copied = 0
  for (const { before, entry } of others) {
    const until = indexOfPosition(placed, before)
    for (const one of placed.slice(copied, until)) entries.push(one)
    copied = Math.max(copied, until)
    entries.push(entry)
  }
  for (const one of placed.slice(copied)) entries.push(one)
  return entries
}
