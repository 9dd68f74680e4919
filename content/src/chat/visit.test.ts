import { beforeEach, expect, it } from 'vitest'
import { forgetRoom, forgetVisit, loadVisit, rememberRoom, saveMarks } from './visit'
import type { Visit } from './visit'
import type { Sender } from './message'

const ANN: Sender = { kind: 'user', userId: 'ann' }
const GUEST: Sender = { kind: 'guest', nickname: 'ann' }
const [EARLY, LATE] = ['00000017.0000000001', '00000017.0000000002']

beforeEach(() => { localStorage.clear() })

function saveVisit(storage: Storage, me: Sender, { marks, rooms }: Visit): void {
  saveMarks(storage, me, marks)
  for (const room of rooms) rememberRoom(storage, me, room)
}

it('has what was saved for the same person', () => {
  saveVisit(localStorage, ANN, { marks: { everyone: LATE, private: '' }, rooms: ['games'] })
  saveVisit(localStorage, GUEST, { marks: {}, rooms: ['music'] })
  expect(loadVisit(localStorage, ANN)).toEqual({ marks: { everyone: LATE, private: '' }, rooms: ['games'] })
  expect(loadVisit(localStorage, GUEST)).toEqual({ marks: {}, rooms: ['music'] })
  expect(loadVisit(localStorage, { kind: 'user', userId: 'guest' })).toEqual({ marks: {}, rooms: [] })
})

it('does not become unread again by a tab that was read less far', () => {
  saveVisit(localStorage, ANN, { marks: { everyone: LATE }, rooms: [] })
  saveVisit(localStorage, ANN, { marks: { everyone: EARLY }, rooms: [] })
  expect(loadVisit(localStorage, ANN).marks).toEqual({ everyone: LATE })
})

it('keeps what another tab has saved: rooms that were entered there, and how far their threads were read', () => {
  saveMarks(localStorage, ANN, { 'room games': LATE })
  rememberRoom(localStorage, ANN, 'games')
  saveMarks(localStorage, ANN, { everyone: EARLY })
  rememberRoom(localStorage, ANN, 'music')
  expect(loadVisit(localStorage, ANN)).toEqual({ marks: { 'room games': LATE, 'everyone': EARLY }, rooms: ['games', 'music'] })
  forgetRoom(localStorage, ANN, 'games')
  expect(loadVisit(localStorage, ANN).rooms).toEqual(['music'])
})

it('is forgotten for one person only', () => {
  saveVisit(localStorage, ANN, { marks: {}, rooms: ['games'] })
  saveVisit(localStorage, GUEST, { marks: {}, rooms: ['music'] })
  forgetVisit(localStorage, ANN)
  expect([loadVisit(localStorage, ANN).rooms, loadVisit(localStorage, GUEST).rooms]).toEqual([[], ['music']])
})

it.each([
  'null', '[]', '7', 'not JSON', '{"user ann":7}', '{"user ann":{"marks":7,"rooms":"games"}}',
  '{"user ann":{"marks":{"everyone":"far"},"rooms":[7,"no such room!"]}}',
])('is empty if %s was saved', (saved) => {
  localStorage.setItem('chat.visits', saved)
  expect(loadVisit(localStorage, ANN)).toEqual({ marks: {}, rooms: [] })
})

it('is kept for a limited number of people', () => {
  for (let number = 0; number < 30; number += 1) saveVisit(localStorage, { kind: 'user', userId: `u${number}` }, { marks: {}, rooms: ['games'] })
  const kept = Array.from({ length: 30 }, (_, number) => loadVisit(localStorage, { kind: 'user', userId: `u${number}` }).rooms.length)
  expect(kept).toEqual([...Array<number>(20).fill(0), ...Array<number>(10).fill(1)])
})
