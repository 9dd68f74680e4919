// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { GRACE_PERIOD_MS, planCleanup } from './staleAssets'

const NOW = new Date('2026-11-22T12:00:00Z')
const OLD = 'assets/index-12345678.js'
const ago = (ms: number) => new Date(NOW.getTime() - ms)
const nothing = () => false

describe('an asset that is not in the build any more', () => {
  it('is marked by the first upload without it', () => {
    expect(planCleanup([{ name: OLD, staleSince: undefined }], nothing, NOW)).toEqual({ mark: [OLD], remove: [] })
  })

  it('is kept during the grace period, and removed after it', () => {
    expect(planCleanup([{ name: OLD, staleSince: ago(GRACE_PERIOD_MS) }], nothing, NOW)).toEqual({ mark: [], remove: [] })
    expect(planCleanup([{ name: OLD, staleSince: ago(GRACE_PERIOD_MS + 1) }], nothing, NOW)).toEqual({ mark: [], remove: [OLD] })
  })

  it('is kept if it is in the build again', () => {
    expect(planCleanup([{ name: OLD, staleSince: ago(2 * GRACE_PERIOD_MS) }], name => name === OLD, NOW)).toEqual({ mark: [], remove: [] })
  })

  it('is kept if its mark is not a time', () => {
    expect(planCleanup([{ name: OLD, staleSince: new Date('soon') }], nothing, NOW)).toEqual({ mark: [], remove: [] })
  })
})

it.each(['robots.txt', 'assets/logo.svg', 'index.html', 'old/assets/index-12345678.js'])('%s is never removed', (name) => {
  expect(planCleanup([{ name, staleSince: ago(2 * GRACE_PERIOD_MS) }], nothing, NOW)).toEqual({ mark: [], remove: [] })
})
