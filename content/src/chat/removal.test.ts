import { describe, expect, it } from 'vitest'
import { parseRemoval } from './removal'

const at = '00000017.0000000689'

describe('a removal', () => {
  it.each([
    [{ at }, { audience: { kind: 'everyone' }, at }],
    [{ room: 'Games', at }, { audience: { kind: 'room', room: 'games' }, at }],
    [{ room: 'games' }, undefined],
    [{ room: 'two words', at }, undefined],
    [{ room: 7, at }, undefined],
    [{ at: '17.689' }, undefined],
    [null, undefined],
    ['00000017.0000000689', undefined],
  ])('of %j is %j', (raw, removal) => {
    expect(parseRemoval(raw)).toEqual(removal)
  })
})
