import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Batch, BATCH_INTERVAL_MS, MAX_BATCH_SIZE } from './batch'

function setUp() {
  const applied: string[][] = []
  return { applied, batch: new Batch<string>((items) => { applied.push([...items]) }) }
}

describe('a batch', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('hands over the first items without delay, and those of the same moment together', () => {
    const { applied, batch } = setUp()
    batch.add('a')
    batch.add('b')
    expect(applied).toEqual([])
    vi.advanceTimersByTime(0)
    expect(applied).toEqual([['a', 'b']])
  })

  it('hands over later items at most once per interval, in order', () => {
    const { applied, batch } = setUp()
    for (let n = 0; n < 1000; n += 1) {
      batch.add(`${n}`)
      vi.advanceTimersByTime(2)
    }
    vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    expect(applied.length).toBeLessThanOrEqual(2000 / BATCH_INTERVAL_MS + 2)
    expect(applied.flat()).toEqual(Array.from({ length: 1000 }, (_, n) => `${n}`))
  })

  it('hands over at once after a pause', () => {
    const { applied, batch } = setUp()
    batch.add('a')
    vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    batch.add('b')
    vi.advanceTimersByTime(0)
    expect(applied).toEqual([['a'], ['b']])
  })

  it('needs no animation frame, which a hidden page does not have', () => {
    const { applied, batch } = setUp()
    vi.stubGlobal('requestAnimationFrame', () => 0)
    batch.add('a')
    vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    expect(applied).toEqual([['a']])
  })

  it('has a maximum size, even if no timer runs', () => {
    const { applied, batch } = setUp()
    for (let n = 0; n < 2.5 * MAX_BATCH_SIZE; n += 1) batch.add(`${n}`)
    expect(applied.map(({ length }) => length)).toEqual([MAX_BATCH_SIZE, MAX_BATCH_SIZE])
    vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    expect(applied.flat()).toHaveLength(2.5 * MAX_BATCH_SIZE)
  })

  it('hands over on demand, and nothing after it is closed', () => {
    const { applied, batch } = setUp()
    batch.add('a')
    batch.flush()
    batch.flush()
    batch.add('b')
    batch.close()
    vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    expect(applied).toEqual([['a']])
  })
})
