import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { DoneResult } from './historyApi'
import { Membership } from './membership'

const DONE: DoneResult = { kind: 'done' }
const BUSY: DoneResult = { kind: 'failed', failure: { kind: 'transient', reason: 'busy', retryAfterMs: undefined } }
const refused = (code: string): DoneResult => ({ kind: 'failed', failure: { kind: 'rejected', status: 404, code, reason: code, canRetry: false } })

function setUp(...results: DoneResult[]) {
  const calls: string[] = []
  let release: () => void = () => undefined
  const leaves = { areHeld: false, release: () => { release() } }
  const call = (what: string) => (room: string, connectionId: string): Promise<DoneResult> => {
    calls.push(`${what} ${room} with ${connectionId}`)
    if (what === 'leave' && leaves.areHeld) return new Promise((resolve) => { release = () => { resolve(DONE) } })
    return Promise.resolve(what === 'enter' ? results.shift() ?? DONE : DONE)
  }
  const told: string[] = []
  const membership = new Membership({
    enter: call('enter'),
    leave: call('leave'),
    onEntered: (room) => { told.push(`entered ${room}`) },
    onRefused: (room, failure) => { told.push(`refused ${room}: ${'reason' in failure ? failure.reason : ''}`) },
  })
  return { membership, calls, told, leaves }
}

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

it('enters all rooms again with each new connection', async () => {
  const { membership, calls, told } = setUp()
  await membership.enter('games')
  await membership.setConnection('one')
  await membership.enter('music')
  await membership.setConnection(undefined)
  await membership.setConnection('two')
  expect(calls).toEqual(['enter games with one', 'enter music with one', 'enter games with two', 'enter music with two'])
  expect(told.length).toBe(4)
})

it('enters a room once, however often it is opened', async () => {
  const { membership, calls } = setUp()
  await membership.setConnection('one')
  await Promise.all([membership.enter('games'), membership.enter('games')])
  await membership.enter('games')
  expect(calls).toEqual(['enter games with one'])
})

it('leaves a room for good', async () => {
  const { membership, calls } = setUp()
  await membership.setConnection('one')
  await membership.enter('games')
  membership.leave('games')
  await membership.setConnection('two')
  expect(calls).toEqual(['enter games with one', 'leave games with one'])
})

it.each([['a failure that passes', BUSY], ['a connection that is not known yet', refused('unknown_connection')]])('tries again after %s', async (_, failure) => {
  const { membership, told } = setUp(failure, failure)
  await membership.setConnection('one')
  await membership.enter('games')
  expect(told).toEqual([])
  await vi.advanceTimersByTimeAsync(5000)
  expect(told).toEqual(['entered games'])
})

it('does not try again with a connection that has ended', async () => {
  const { membership, calls } = setUp(BUSY)
  await membership.setConnection('one')
  await membership.enter('games')
  await membership.setConnection(undefined)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(calls.length).toBe(1)
})

it('says that a room is refused, and does not enter it again', async () => {
  const { membership, told, calls } = setUp(refused('unknown_room'))
  await membership.setConnection('one')
  await membership.enter('games')
  await membership.setConnection('two')
  expect([told, calls.length]).toEqual([['refused games: unknown_room'], 1])
})

it('tries again what the service refuses because of its settings', async () => {
  const { membership, told } = setUp({ kind: 'failed', failure: { kind: 'rejected', status: 502, code: 'upstream_rejected', reason: 'settings', canRetry: true } })
  await membership.setConnection('one')
  await membership.enter('games')
  await vi.advanceTimersByTimeAsync(1000)
  expect(told).toEqual(['entered games'])
})

it('enters a room after the call that leaves it has ended', async () => {
  const { membership, calls, told, leaves } = setUp()
  await membership.setConnection('one')
  await membership.enter('games')
  leaves.areHeld = true
  membership.leave('games')
  const entered = membership.enter('games')
  await vi.advanceTimersByTimeAsync(1000)
  expect(calls).toEqual(['enter games with one', 'leave games with one'])
  leaves.release()
  await entered
  expect([calls.at(-1), told.length, membership.isIn('games')]).toEqual(['enter games with one', 2, true])
})

describe('messages that have not arrived', () => {
  async function setUpSettled() {
    const all = setUp()
    await all.membership.setConnection('one')
    await all.membership.enter('games')
    await vi.advanceTimersByTimeAsync(10_000)
    all.calls.splice(0)
    return all
  }

  it('make the connection enter the room again', async () => {
    const { membership, calls } = await setUpSettled()
    for (let doubts = 0; doubts < 3; doubts += 1) membership.doubt('games')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(calls).toEqual(['enter games with one'])
  })

  it('are on their way if others arrive', async () => {
    const { membership, calls } = await setUpSettled()
    membership.doubt('games')
    await vi.advanceTimersByTimeAsync(100)
    membership.trust('games')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(calls).toEqual([])
  })

  it('say nothing soon after entering, or after leaving', async () => {
    const { membership, calls } = await setUpSettled()
    await membership.setConnection('one')
    membership.doubt('games')
    await vi.advanceTimersByTimeAsync(20_000)
    membership.doubt('games')
    membership.leave('games')
    await vi.advanceTimersByTimeAsync(20_000)
    expect(calls).toEqual(['enter games with one', 'leave games with one'])
  })
})
