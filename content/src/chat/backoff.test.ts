import { describe, expect, it } from 'vitest'
import { backoff } from './backoff'

describe('the delay before a retry', () => {
  it('is short at first', () => {
    expect(backoff(1, 0)).toBe(250)
    expect(backoff(1, 1)).toBe(500)
  })

  it('grows with each failure up to 30 s', () => {
    const delays = Array.from({ length: 2000 }, (_, failure) => backoff(failure + 1, 0.999))
    expect(delays).toEqual([...delays].sort((a, b) => a - b))
    expect(Math.max(...delays)).toBeLessThanOrEqual(30_000)
    expect(delays.at(-1)).toBeGreaterThan(29_000)
  })

  it('is randomized', () => {
    expect(backoff(5, 0.1)).not.toBe(backoff(5, 0.9))
  })
})
