import { describe, expect, it } from 'vitest'
import { extendDown, extendUp, isPrepended, leaveEnd, MAX_ROWS, reachEnd, updateWindow, windowAround, windowAtEnd, windowAtStart } from './messageWindow'
import type { MessageWindow, Range } from './messageWindow'

const list = (from: number, until: number) => Array.from({ length: until - from }, (_, at) => ({ key: `k${from + at}` }))
const keys = (entries: readonly { key: string }[], { start, end }: Range) => entries.slice(start, end).map(({ key }) => key)
const view = (start: number, end = start + 10): Range => ({ start, end })

describe('a window at the end', () => {
  it.each([0, 1, 199, 200, 10_000])('shows the last of %i entries', (count) => {
    const window = windowAtEnd(count)
    expect(window).toMatchObject({ end: count, atEnd: true })
    expect(window.end - window.start).toBe(Math.min(count, 200))
  })

  it('follows the end past any number of entries, with limited rows', () => {
    let entries = list(0, 0)
    let window = windowAtEnd(0)
    for (let count = 7; count < 3000; count += 7) {
      const after = list(0, count)
      window = updateWindow(window, entries, after, view(Math.max(0, window.end - 10), window.end))
      entries = after
      expect(window).toMatchObject({ atEnd: true, end: count })
      expect(window.end - window.start).toBeLessThanOrEqual(300)
      expect(window.end - window.start).toBeGreaterThanOrEqual(Math.min(count, 200))
    }
  })

  it('moves its first row in steps, not with each message', () => {
    const starts = new Set<number>()
    let window = windowAtEnd(1000)
    for (let count = 1000; count < 1300; count += 1) {
      window = updateWindow(window, list(0, count), list(0, count + 1), view(count - 10, count))
      starts.add(window.start)
    }
    expect([...starts]).toEqual([800, 900, 1000])
  })

  it('follows the end when the oldest entries are removed', () => {
    expect(updateWindow(windowAtEnd(500), list(0, 500), list(100, 600), view(490))).toEqual({ start: 200, end: 500, atEnd: true })
  })

  it('shows older entries that are added if it has few', () => {
    expect(updateWindow(windowAtEnd(50), list(50, 100), list(0, 100), view(40))).toEqual({ start: 0, end: 100, atEnd: true })
  })

  it('goes to the end of other entries', () => {
    expect(updateWindow(windowAtEnd(500), list(0, 500), list(1000, 1050), view(490))).toEqual(windowAtEnd(50))
  })
})

describe('a window that a person has scrolled up', () => {
  const up = extendUp(extendUp(leaveEnd(windowAtEnd(1000)), view(800)), view(700))

  it('adds earlier entries in steps, and drops later ones that are far away', () => {
    expect(up).toEqual({ start: 600, end: 1000, atEnd: false })
    expect(extendUp(up, view(600))).toEqual({ start: 500, end: 900, atEnd: false })
  })

  it('is not moved by messages that are added', () => {
    const window = { start: 500, end: 900, atEnd: false }
    expect(updateWindow(window, list(0, 1000), list(0, 1200), view(600))).toEqual(window)
  })

  it('shows messages that are added while there is room', () => {
    expect(updateWindow({ start: 900, end: 1000, atEnd: false }, list(0, 1000), list(0, 1100), view(950)).end).toBe(1100)
    expect(updateWindow(up, list(0, 1000), list(0, 1100), view(700)).end).toBe(1000)
  })

  it('keeps its entries when older ones are added', () => {
    const after = list(0, 1050)
    const window = updateWindow({ start: 0, end: 300, atEnd: false }, list(50, 1050), after, view(3))
    expect(keys(after, window)).toEqual(keys(list(50, 1050), { start: 0, end: 300 }))
  })

  it.each([['above', 101], ['below', 85]])('keeps what is in view when a hole %s it is filled with more than there is room for', (_, start) => {
    const before = [...list(0, 100), { key: 'hole' }, ...list(600, 900)]
    const after = list(0, 900)
    const window = updateWindow({ start: 0, end: 400, atEnd: false }, before, after, view(start))
    expect(keys(after, window)).toEqual(expect.arrayContaining(keys(before, view(start))))
    expect(window.end - window.start).toBe(MAX_ROWS)
  })

  it('is at the end only with the last entry', () => {
    expect(reachEnd({ start: 100, end: 500, atEnd: false }, 600).atEnd).toBe(false)
    expect(reachEnd(extendDown({ start: 200, end: 500, atEnd: false }, 600, view(480)), 600)).toEqual({ start: 200, end: 600, atEnd: true })
  })
})

it.each([[10_000, 0], [10_000, 5], [10_000, 9990], [3, 2]])('of %i entries, those around one of them include it: %i', (count, index) => {
  const { start, end } = windowAround(count, index)
  expect(start <= index && index < end && start >= 0 && end <= count).toBe(true)
})

it('at the start shows the first entries', () => {
  expect(windowAtStart(10_000)).toEqual({ start: 0, end: 200, atEnd: false })
})

it.each([
  [list(5, 9), list(0, 9), true], [list(5, 9), list(5, 12), false], [list(0, 9), list(5, 12), false], [[], list(0, 3), false], [list(0, 3), [], false],
])('entries are prepended only if the first is still there, after others (%#)', (before, after, expected) => {
  expect(isPrepended(before, after)).toBe(expected)
})

/** Repeatable numbers: mulberry32. */
function random(seed: number) {
  return (below: number) => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

describe.each(Array.from({ length: 40 }, (_, seed) => seed))('with any order of changes (%i), a window', (seed) => {
  it('has limited rows, keeps what is in view, and leaves or reaches the end only when the person scrolls', () => {
    const pick = random(seed)
    let next = 0
    const fresh = (count: number) => Array.from({ length: count }, () => ({ key: `n${next++}` }))
    let entries = fresh(pick(600))
    let window: MessageWindow = windowAtEnd(entries.length)
    // A page that is inserted into the view is not divided, until the next change.
    let inserted = 0
    for (let step = 0; step < 200; step += 1) {
      const size = Math.min(window.end - window.start, 1 + pick(60))
      const start = window.atEnd ? window.end - size : window.start + pick(window.end - window.start - size + 1)
      const inView = { start, end: start + size }
      const action = pick(8)
      const wasAtEnd = window.atEnd
      if (action <= 4) {
        const before = entries
        const at = pick(entries.length + 1)
        inserted = 0
        if (action === 0) entries = [...fresh(pick(60)), ...entries]
        else if (action <= 2) entries = [...entries, ...fresh(pick(60))]
        else if (action === 3) {
          inserted = pick(300)
          entries = [...entries.slice(0, at), ...fresh(inserted), ...entries.slice(at)]
        }
        else if (action === 4) entries = entries.filter(() => pick(20) > 0)
        const wasShown = new Set(keys(before, inView))
        window = updateWindow(window, before, entries, inView)
        const left = entries.filter(({ key }) => wasShown.has(key)).map(({ key }) => key)
        const isContiguous = action !== 3
        if (!wasAtEnd && isContiguous) expect(keys(entries, window)).toEqual(expect.arrayContaining(left))
        if (left.length > 0) expect(window.atEnd).toBe(wasAtEnd)
      } else if (inView.start < window.start + 20) window = extendUp(window, inView)
      else if (inView.end > window.end - 20 && action === 5) window = window.atEnd ? leaveEnd(window) : extendDown(window, entries.length, inView)
      else if (inView.end === window.end) window = reachEnd(window, entries.length)
      expect(window.start).toBeGreaterThanOrEqual(0)
      expect(window.end).toBeLessThanOrEqual(entries.length)
      expect(window.start).toBeLessThanOrEqual(window.end)
      if (window.atEnd) expect(window.end).toBe(entries.length)
      expect(window.end - window.start).toBeLessThanOrEqual(MAX_ROWS + inserted)
    }
  })
})
