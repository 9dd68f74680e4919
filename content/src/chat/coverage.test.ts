import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BEGINNING, Coverage } from './coverage'

const text = (position: number) => (position === 0 ? BEGINNING : String(position).padStart(3, '0'))
const range = fc.tuple(fc.nat(60), fc.nat(8)).map(([from, length]) => ({ from, until: from + length }))
const coverageOf = (ranges: readonly { from: number, until: number }[]) =>
  ranges.reduce((coverage, { from, until }) => coverage.add({ from: text(from), until: text(until) }), Coverage.EMPTY)

it('covers exactly the points that its ranges cover, in any order, with holes between them', () => {
  fc.assert(fc.property(fc.array(range, { maxLength: 12 }), fc.nat(), (ranges, seed) => {
    const coverage = coverageOf(ranges)
    // Steps between neighbouring positions, because a range of no length covers nothing.
    const isCovered = (step: number) => ranges.some(({ from, until }) => from <= step && step < until)
    const covers = (list: readonly { from: string, until: string }[], step: number) => list.some(({ from, until }) => from <= text(step) && text(step) < until)
    for (let step = 0; step < 70; step += 1) {
      expect(covers(coverage.ranges, step)).toBe(isCovered(step))
      const isBetween = coverage.start !== undefined && text(step) >= coverage.start && text(step) < (coverage.end ?? '')
      expect(covers(coverage.holes, step)).toBe(isBetween && !isCovered(step))
    }
    const shuffled = [...ranges].sort((one, other) => ((one.from * 7 + seed) % 13) - ((other.from * 7 + seed) % 13))
    expect(coverageOf(shuffled).ranges).toEqual(coverage.ranges)
  }))
})

it('has no hole where one range ends and the next one begins', () => {
  const coverage = coverageOf([{ from: 1, until: 2 }, { from: 3, until: 4 }, { from: 2, until: 3 }])
  expect(coverage.ranges).toEqual([{ from: '001', until: '004' }])
  expect(coverage.holes).toEqual([])
})

it('forgets what is before a position', () => {
  const coverage = coverageOf([{ from: 1, until: 3 }, { from: 5, until: 9 }, { from: 12, until: 14 }]).dropBefore('007')
  expect(coverage.ranges).toEqual([{ from: '007', until: '009' }, { from: '012', until: '014' }])
  expect([coverage.reaches('013'), coverage.reaches('008')]).toEqual([true, false])
})
