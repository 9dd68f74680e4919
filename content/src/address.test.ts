import { expect, it } from 'vitest'
import { ACCESS_TOKEN_FRAGMENT, fragmentOf, parseFragment } from './address'

it.each([
  ['', { kind: 'chat' }],
  ['#', { kind: 'chat' }],
  ['#room=games', { kind: 'room', room: 'games' }],
  ['#room=Games', { kind: 'room', room: 'games' }],
  ['#room=', { kind: 'chat' }],
  ['#room=everyone', { kind: 'chat' }],
  ['#room=no%20room', { kind: 'chat' }],
  ['#room=%', { kind: 'chat' }],
  [ACCESS_TOKEN_FRAGMENT, { kind: 'access-token' }],
  ['#something', { kind: 'chat' }],
])('%s is %j', (fragment, address) => {
  expect(parseFragment(fragment)).toEqual(address)
})

it('of a room leads to the room', () => {
  expect(parseFragment(fragmentOf('a-b_9'))).toEqual({ kind: 'room', room: 'a-b_9' })
  expect(fragmentOf(undefined)).toBe('')
})
