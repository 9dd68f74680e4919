// @vitest-environment node
import { describe, expect, it } from 'vitest'
import { GRACE_MS, sweep } from './staleAssets'

const NOW = new Date('2026-11-22T12:00:00Z')
const OLD = 'assets/index-12345678.js'
const ago = (ms: number) => new Date(NOW.getTime() - ms)
const nothing = () => false

describe('an asset that the build no longer has', () => {
  it('is marked by the upload that replaces it, however long ago it was uploaded', () => {
    expect(sweep([{ name: OLD, staleSince: undefined }], nothing, NOW)).toEqual({ mark: [OLD], remove: [] })
  })

  it('is left alone within the grace period, and removed after it', () => {
    expect(sweep([{ name: OLD, staleSince: ago(GRACE_MS) }], nothing, NOW)).toEqual({ mark: [], remove: [] })
    expect(sweep([{ name: OLD, staleSince: ago(GRACE_MS + 1) }], nothing, NOW)).toEqual({ mark: [], remove: [OLD] })
  })

  it('is left alone when it is wanted again', () => {
    expect(sweep([{ name: OLD, staleSince: ago(2 * GRACE_MS) }], name => name === OLD, NOW)).toEqual({ mark: [], remove: [] })
  })

  it('is left alone when its mark is not a time', () => {
    expect(sweep([{ name: OLD, staleSince: new Date('soon') }], nothing, NOW)).toEqual({ mark: [], remove: [] })
  })
})

it.each(['robots.txt', 'assets/logo.svg', 'index.html', 'old/assets/index-12345678.js'])('%s is never swept: somebody put it there', (name) => {
  expect(sweep([{ name, staleSince: ago(2 * GRACE_MS) }], nothing, NOW)).toEqual({ mark: [], remove: [] })
})
