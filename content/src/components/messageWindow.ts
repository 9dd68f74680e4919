// Which of the entries of a thread are rows of the page: a part of limited length that moves in steps. It follows the end until the
// person scrolls up, and then stays at the entries that are in view. All functions are pure.

/** The entries from `start` until before `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** `atEnd`: the list follows its end. Only a person changes that, by scrolling; heights and added entries do not. */
export interface MessageWindow extends Range {
  readonly atEnd: boolean
}

interface Keyed {
  readonly key: string
}

/** The most rows, except in a view that shows more than 200 entries at once. */
export const MAX_ROWS = 400
/** How many rows a step adds. More rows than this stay beyond both edges of the view. */
export const STEP = 100
/** The fewest rows at the end, if there are so many entries. */
const ROWS_AT_END = 200

/** The end of `count` entries. */
export function windowAtEnd(count: number): MessageWindow {
  return { start: Math.max(0, count - ROWS_AT_END), end: count, atEnd: true }
}

/** The beginning of `count` entries. */
export function windowAtStart(count: number): MessageWindow {
  return { start: 0, end: Math.min(count, ROWS_AT_END), atEnd: false }
}

/** The entries around the one at `index`. */
export function windowAround(count: number, index: number): MessageWindow {
  const start = Math.max(0, Math.min(index - STEP, count - ROWS_AT_END))
  return { start, end: Math.min(count, start + ROWS_AT_END), atEnd: false }
}

/** The person has scrolled up. */
export function leaveEnd(window: MessageWindow): MessageWindow {
  return { ...window, atEnd: false }
}

/** The person has scrolled down to the last row, which is the end only if it is that of the last entry. */
export function reachEnd(window: MessageWindow, count: number): MessageWindow {
  return { ...window, atEnd: window.end === count }
}

/** Adds earlier entries, because the first row is near. `view`: the entries that are in view. */
export function extendUp(window: MessageWindow, view: Range): MessageWindow {
  const start = Math.max(0, window.start - STEP)
  const end = window.atEnd ? window.end : Math.min(window.end, Math.max(start + MAX_ROWS, view.end + STEP))
  return { ...window, start, end }
}

/** Adds later entries, because the last row is near. */
export function extendDown(window: MessageWindow, count: number, view: Range): MessageWindow {
  const end = Math.min(count, window.end + STEP)
  return { ...window, start: Math.max(window.start, Math.min(end - MAX_ROWS, view.start - STEP)), end }
}

/**
 * The window after `before` was replaced by `after`: at the end, or with the entries that were in view. Entries may be added and
 * removed at any place. If none of the window's entries is left, it goes to the end.
 */
export function updateWindow(window: MessageWindow, before: readonly Keyed[], after: readonly Keyed[], view: Range): MessageWindow {
  const count = after.length
  const find = finder(before, after)
  const kept = survivors(window, find)
  if (kept === undefined) return windowAtEnd(count)
  if (window.atEnd) {
    const fewest = Math.max(ROWS_AT_END, view.end - view.start + STEP)
    let start = Math.min(kept.start, Math.max(0, count - fewest))
    while (count - start > fewest + STEP) start += STEP
    return { start, end: count, atEnd: true }
  }
  // Entries that were added after the last row are rows as long as there is room.
  const wasWhole = window.end === before.length
  const end = wasWhole ? Math.max(kept.end, Math.min(count, kept.start + MAX_ROWS)) : kept.end
  const start = Math.min(kept.start, Math.max(0, end - ROWS_AT_END))
  const seen = survivors(view, find) ?? { start, end: start + 1 }
  const first = Math.max(start, Math.min(seen.start - STEP, end - MAX_ROWS))
  return { start: first, end: Math.min(end, Math.max(first + MAX_ROWS, seen.end + STEP)), atEnd: false }
}

/** Whether earlier entries were added before the first of `before`. */
export function isPrepended(before: readonly Keyed[], after: readonly Keyed[]): boolean {
  const first = before[0]
  return first !== undefined && first.key !== after[0]?.key && after.some(({ key }) => key === first.key)
}

/** The range in the new list from the first to the last entry of `range` that is still there. */
function survivors({ start, end }: Range, find: (index: number) => number | undefined): Range | undefined {
  let first: number | undefined
  for (let at = start; at < end && first === undefined; at += 1) first = find(at)
  let last: number | undefined
  for (let at = end - 1; at >= start && last === undefined; at -= 1) last = find(at)
  return first === undefined || last === undefined ? undefined : { start: Math.min(first, last), end: Math.max(first, last) + 1 }
}

/** Finds the new index of an entry. Most entries are where they were, or as far from the end as they were. */
function finder(before: readonly Keyed[], after: readonly Keyed[]): (index: number) => number | undefined {
  let indexes: Map<string, number> | undefined
  return (index) => {
    const key = before[index]?.key
    if (key === undefined) return undefined
    for (const likely of [index, index + after.length - before.length]) if (after[likely]?.key === key) return likely
    indexes ??= new Map(after.map((entry, at) => [entry.key, at]))
    return indexes.get(key)
  }
}
