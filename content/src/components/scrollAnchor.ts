// Measures the rows of a list in its scrolling element: which are in view, and how far one of them has moved. Browsers can keep the
// position themselves (`overflow-anchor`), but not all of them do, and not all in the same way.

/** An element in view and the distance of its lower edge from the top of the scrolling element. What is below it must not move. */
export interface Anchor {
  readonly row: Element
  readonly bottom: number
}

/** The index of the first row that is at least partly in view and the index after the last one. */
export function rowsInView(scroller: Element, list: Element): { readonly start: number, readonly end: number } {
  const { top, bottom } = scroller.getBoundingClientRect()
  const rows = list.children
  const start = firstIndex(rows, row => row.getBoundingClientRect().bottom > top)
  const end = firstIndex(rows, row => row.getBoundingClientRect().top >= bottom)
  return { start, end: Math.max(start, end) }
}

/** The rows in view that match `selector`. */
export function anchorsInView(scroller: Element, list: Element, selector: string): Anchor[] {
  const { top } = scroller.getBoundingClientRect()
  const { start, end } = rowsInView(scroller, list)
  return [...list.children].slice(start, end).filter(row => row.matches(selector))
    .map(row => ({ row, bottom: row.getBoundingClientRect().bottom - top }))
}

/** The anchors after all rows are to be higher by `distance`. They are not measured again: rows may have moved meanwhile. */
export function shiftAnchors(anchors: readonly Anchor[], distance: number): readonly Anchor[] {
  return distance === 0 ? anchors : anchors.map(({ row, bottom }) => ({ row, bottom: bottom - distance }))
}

/**
 * Scrolls so that the first of `anchors` that is still in the page is where it was. Returns how far it is below that place
 * afterwards: a fraction of a pixel, or more if there is nothing to scroll.
 */
export function restoreAnchor(scroller: Element, anchors: readonly Anchor[]): number {
  const anchor = anchors.find(({ row }) => row.isConnected)
  if (anchor === undefined) return 0
  const moved = anchor.row.getBoundingClientRect().bottom - scroller.getBoundingClientRect().top - anchor.bottom
  if (Math.abs(moved) < 1) return moved
  const before = scroller.scrollTop
  scroller.scrollTop += moved
  return moved - (scroller.scrollTop - before)
}

/** Binary search for the first row that `isAfter`; rows are in the order of their positions. */
function firstIndex(rows: HTMLCollection, isAfter: (row: Element) => boolean): number {
  let [low, high] = [0, rows.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const row = rows.item(middle)
    if (row === null || isAfter(row)) high = middle
    else low = middle + 1
  }
  return low
}
