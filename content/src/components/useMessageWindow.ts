// Connects the window of entries (messageWindow.ts) with a scrolling element: it moves the window when its edge comes near, follows
// the end, and keeps what is read in its place when rows are added, removed or change their height.
import { computed, onBeforeUpdate, onMounted, onScopeDispose, onUpdated, ref, shallowRef, watch } from 'vue'
import type { ShallowRef } from 'vue'
import type { Entry } from '../chat/thread'
import { groupMessages } from './groupMessages'
import type { Row } from './groupMessages'
import { extendDown, extendUp, isPrepended, leaveEnd, reachEnd, updateWindow, windowAround, windowAtEnd, windowAtStart } from './messageWindow'
import type { Range } from './messageWindow'
import { anchorsInView, restoreAnchor, rowsInView, shiftAnchors } from './scrollAnchor'
import type { Anchor } from './scrollAnchor'

export interface MessageWindowOptions {
  /** The scrolling element. Its `overflow-anchor` is `none`. */
  readonly scroller: Readonly<ShallowRef<HTMLElement | null>>
  /** The element whose children are the rows, in their order. */
  readonly list: Readonly<ShallowRef<HTMLElement | null>>
  readonly entries: () => readonly Entry[]
  readonly firstUnread: () => string | undefined
  /** Called after each change of what is in view, with the rows that are in view and whether the first entry is near. */
  readonly onView: (rows: readonly Row[], isStartNear: boolean) => void
}

/** Scrolling down to less than this from the end is scrolling to the end. */
const END_TOLERANCE_PX = 40
/** The line for new messages is this far below the upper edge after the list has scrolled to it. */
const ABOVE_NEW_LINE_PX = 60
/** Elements that are added by scrolling are not announced; screen readers learn of them with a delay. */
const QUIET_MS = 1000

export function useMessageWindow({ scroller, list, entries, firstUnread, onView }: MessageWindowOptions) {
  const shown = shallowRef(windowAtEnd(entries().length))
  /** Whether the changes of the rows are not new messages. */
  const isQuiet = ref(false)
  /** Whether the end is more than a view away. */
  const isFar = ref(false)
  const rows = computed(() => groupMessages(entries(), shown.value, firstUnread(), new Date()))
  /** The entries that were in view at the last measurement, as indexes. */
  let view: Range = shown.value
  /** The scroller at the last measurement. A lower position in a scroller of the same size means that the person has scrolled up. */
  let measured = { top: 0, height: 0, viewHeight: 0 }
  /** What was in view when the scroller was at `anchorsAt`; empty at the end. */
  let anchors: readonly Anchor[] = []
  let anchorsAt = 0
  /** How far the anchors are below their places: fractions of a pixel, which must not add up. */
  let remainder = 0
  /** Whether the scroller has no height, because something else is shown: then its position says nothing. */
  let isHidden = false
  /** Where to scroll after the next update, if not to the end and not to the same place. */
  let target: 'start' | 'new line' | undefined
  /** Whether the line for new messages was not in view yet. */
  let isNewLinePending = firstUnread() !== undefined
  let quietTimer: ReturnType<typeof setTimeout> | undefined

  function quiet() {
    isQuiet.value = true
    clearTimeout(quietTimer)
    quietTimer = setTimeout(() => { isQuiet.value = false }, QUIET_MS)
  }

  /** The position, limited to what can be scrolled: on a touch screen it goes beyond and comes back. */
  function positionOf(element: HTMLElement) {
    const { scrollHeight: height, clientHeight: viewHeight, scrollTop } = element
    return { top: Math.max(0, Math.min(scrollTop, height - viewHeight)), height, viewHeight }
  }

  function isSameSize(now: typeof measured) {
    return now.height === measured.height && now.viewHeight === measured.viewHeight
  }

  /** Notices whether the person has scrolled up, away from the end. */
  function checkScrolledUp(element: HTMLElement) {
    const now = positionOf(element)
    if (!isHidden && shown.value.atEnd && isSameSize(now) && now.top < measured.top - 1) shown.value = leaveEnd(shown.value)
    return now
  }

  /** Measures what is in view, and moves the window if one of its edges is near. */
  function measure(element: HTMLElement) {
    const { value: listElement } = list
    if (listElement === null) return
    const now = positionOf(element)
    // Steps of less than a pixel add up.
    measured = shown.value.atEnd && isSameSize(now) ? { ...now, top: Math.max(now.top, measured.top) } : now
    const inView = rowsInView(element, listElement)
    const visible = rows.value.slice(inView.start, inView.end)
    const start = shown.value.start + rows.value.slice(0, inView.start).filter(isEntry).length
    view = { start, end: start + visible.filter(isEntry).length }
    anchors = shown.value.atEnd ? [] : shiftAnchors(anchorsInView(element, listElement, '.message'), remainder)
    anchorsAt = element.scrollTop
    const { top, height, viewHeight } = measured
    const margin = Math.min(viewHeight, Math.max(0, height - viewHeight) / 4)
    const isStartNear = top <= margin
    const toEnd = height - viewHeight - top
    const isAll = height <= viewHeight && shown.value.end === entries().length
    if (isAll && !shown.value.atEnd) shown.value = reachEnd(shown.value, entries().length)
    isFar.value = !shown.value.atEnd && (toEnd > viewHeight || shown.value.end < entries().length)
    if (isStartNear && shown.value.start > 0) move(extendUp(shown.value, view))
    else if (!shown.value.atEnd && toEnd <= margin && shown.value.end < entries().length) move(extendDown(shown.value, entries().length, view))
    onView(visible, isStartNear && shown.value.start === 0)
  }

  function move(changed: typeof shown.value) {
    quiet()
    shown.value = changed
  }

  /** The person's scrolling moves the places where the anchors belong. */
  function followScroll(element: HTMLElement) {
    if (!isHidden) anchors = shiftAnchors(anchors, element.scrollTop - anchorsAt)
    anchorsAt = element.scrollTop
  }

  function keepPlace(element: HTMLElement) {
    const rest = restoreAnchor(element, anchors)
    remainder = Math.abs(rest) < 1 ? rest : 0
  }

  function place(element: HTMLElement) {
    if (target === 'start') element.scrollTop = 0
    else if (shown.value.atEnd) element.scrollTop = element.scrollHeight
    else if (target === undefined) keepPlace(element)
    if (target === 'new line') showNewLine(element)
    target = undefined
  }

  /** Scrolls to the line for new messages if it is above what is in view. */
  function showNewLine(element: HTMLElement) {
    const line = element.querySelector('.new')
    if (line === null) return
    const below = line.getBoundingClientRect().top - element.getBoundingClientRect().top
    if (shown.value.atEnd && below >= 0) return
    element.scrollTop += below - Math.min(ABOVE_NEW_LINE_PX, element.clientHeight / 4)
    shown.value = leaveEnd(shown.value)
  }

  function onScroll() {
    const { value: element } = scroller
    if (element === null || isHidden) return
    followScroll(element)
    if (!shown.value.atEnd) keepPlace(element)
    const { top, height, viewHeight } = checkScrolledUp(element)
    const isDown = top > measured.top
    if (!shown.value.atEnd && isDown && height - viewHeight - top < END_TOLERANCE_PX) shown.value = reachEnd(shown.value, entries().length)
    measure(element)
  }

  function goToEnd() {
    move(windowAtEnd(entries().length))
  }

  function goToStart() {
    target = 'start'
    move(windowAtStart(entries().length))
  }

  /** Puts the line for new messages in view with the next update, unless the person reads something else. */
  function goToNewLine() {
    if (!isNewLinePending || document.hidden) return
    const index = entries().findLastIndex(({ key }) => key === firstUnread())
    if (index === -1 && shown.value.atEnd) return
    isNewLinePending = false
    if (!shown.value.atEnd) return
    target = 'new line'
    if (index < shown.value.start) move(windowAround(entries().length, index))
    else shown.value = { ...shown.value }
  }

  watch(entries, (after, before) => {
    const { value: element } = scroller
    if (element !== null) checkScrolledUp(element)
    if (before.length === 0 || isPrepended(before, after) || changedHoles(before, after)) quiet()
    const [last, lastBefore] = [after.at(-1), before.at(-1)]
    const isOwnNew = last?.kind === 'message' && last.delivery !== undefined && last.delivery.kind !== 'sent'
      && last.key !== lastBefore?.key && !before.some(({ key }) => key === last.key)
    shown.value = isOwnNew ? windowAtEnd(after.length) : updateWindow(shown.value, before, after, view)
    goToNewLine()
  })
  watch(firstUnread, (key) => {
    isNewLinePending = key !== undefined
    goToNewLine()
  })

  let focused: Element | null = null
  onBeforeUpdate(() => {
    const { value: element } = scroller
    if (element === null) return
    focused = element.contains(document.activeElement) ? document.activeElement : null
    checkScrolledUp(element)
    followScroll(element)
  })
  onUpdated(() => {
    const { value: element } = scroller
    if (element === null || isHidden) return
    // The focus was in a row that is no longer there.
    if (focused !== null && !focused.isConnected) element.focus({ preventScroll: true })
    place(element)
    measure(element)
  })

  const resizeObserver = new ResizeObserver(() => {
    const { value: element } = scroller
    if (element === null) return
    const wasHidden = isHidden
    isHidden = element.clientHeight === 0
    if (isHidden) return
    if (wasHidden) anchorsAt = element.scrollTop
    else followScroll(element)
    place(element)
    measure(element)
  })
  onMounted(() => {
    for (const { value } of [scroller, list]) if (value !== null) resizeObserver.observe(value)
    document.addEventListener('visibilitychange', goToNewLine)
    goToNewLine()
  })
  onScopeDispose(() => {
    resizeObserver.disconnect()
    document.removeEventListener('visibilitychange', goToNewLine)
    clearTimeout(quietTimer)
  })

  const atEnd = computed(() => shown.value.atEnd)
  /** Whether the first entry is a row. */
  const hasFirst = computed(() => shown.value.start === 0)
  return { rows, atEnd, hasFirst, isFar, isQuiet, onScroll, goToEnd, goToStart }
}

function isEntry({ kind }: Row): boolean {
  return kind !== 'day' && kind !== 'new'
}

/** Whether a hole was filled or has become smaller. */
function changedHoles(before: readonly Entry[], after: readonly Entry[]): boolean {
  const holes = (all: readonly Entry[]) => all.flatMap(entry => (entry.kind === 'hole' ? `${entry.from} ${entry.until}` : [])).join()
  return holes(before) !== holes(after)
}
