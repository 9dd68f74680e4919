import { describe, expect, it } from 'vitest'
import { backoff } from './backoff'

describe('the wait before another try', () => {
  it('is quick at first', () => {
    expect(backoff(1, 0)).toBe(250)
    expect(backoff(1, 1)).toBe(500)
  })

  it('grows with each failure and never passes half a minute', () => {
    const waits = Array.from({ length: 2000 }, (_, failure) => backoff(failure + 1, 0.999))
    expect(waits).toEqual([...waits].sort((a, b) => a - b))
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000)
    expect(waits.at(-1)).toBeGreaterThan(29_000)
  })

  it('differs from page to page', () => {
    expect(backoff(5, 0.1)).not.toBe(backoff(5, 0.9))
  })
})
