import { expect, it, vi } from 'vitest'
import { Histories } from './histories'
import type { HistorySource, PageCursor, PageResult } from './historyApi'
import type { Sender } from './message'
import { Threads } from './threads'

function setUp(features = { history: true, privateHistory: true }, me: Sender = { kind: 'user', userId: 'ann' }) {
  const threads = new Threads(me)
  threads.setFeatures(features)
  const reads: string[] = []
  const fetchPage = (source: HistorySource, cursor: PageCursor): Promise<PageResult> => {
    const whose = source.kind === 'room' ? source.room : source.kind === 'private' ? `private ${source.with ?? ''}`.trim() : source.kind
    reads.push(`${whose} ${JSON.stringify(cursor)}`)
    const before = 'after' in cursor || cursor.before === undefined ? '00000017.0000000100' : '00000017.0000000050'
    return Promise.resolve({ kind: 'page', page: { messages: [], before, after: '00000017.0000000200', hasMore: false, isLost: false } })
  }
  const onChange = vi.fn()
  return { threads, reads, onChange, histories: new Histories({ threads, fetchPage, onChange, onMissed: vi.fn() }) }
}

it('reads one history for everyone, one for each room and one for all people', async () => {
  const { threads, reads, histories } = setUp()
  threads.open({ kind: 'room', room: 'games' })
  threads.open({ kind: 'person', userId: 'ben' })
  threads.open({ kind: 'person', userId: 'cy' })
  await histories.checkAll()
  expect(reads).toEqual(['everyone {}', 'private {}', 'games {}'])
  await histories.check({ kind: 'person', userId: 'ben' })
  expect(reads.at(-1)).toBe('private {"after":"00000017.0000000200"}')
})

it('reads older messages with one person from what is known of all', async () => {
  const { threads, reads, histories } = setUp()
  threads.open({ kind: 'person', userId: 'ben' })
  await histories.checkAll()
  await histories.loadOlder({ kind: 'person', userId: 'ben' })
  expect(reads.at(-1)).toBe('private ben {"before":"00000017.0000000100"}')
})

it.each([
  [{ history: false, privateHistory: false }, []],
  [{ history: true, privateHistory: false }, ['everyone {}']],
])('reads only what there is: %j', async (features, expected) => {
  const { reads, histories } = setUp(features)
  await histories.checkAll()
  expect(reads).toEqual(expected)
})

it('reads a hole of the private messages once, however many people are written to', async () => {
  vi.useFakeTimers()
  const { threads, reads, histories } = setUp()
  for (const userId of ['ben', 'cy', 'dan']) threads.open({ kind: 'person', userId })
  await histories.checkAll()
  for (const userId of ['ben', 'cy', 'dan']) await histories.loadOlder({ kind: 'person', userId })
  const place = { at: '00000017.0000000300', next: '00000017.0000000400' }
  threads.receive([{ id: 'm', sender: { kind: 'user', userId: 'ben' }, audience: { kind: 'person', userId: 'ann' }, text: 'hi', sentAt: new Date(0), place }], true)
  reads.splice(0)
  histories.watchHoles()
  await vi.advanceTimersByTimeAsync(5000)
  expect(reads).toEqual(['private {"before":"00000017.0000000300"}'])
  histories.close()
  vi.useRealTimers()
})

it('does not read a room that was left', async () => {
  const { threads, reads, histories } = setUp()
  await histories.check({ kind: 'room', room: 'games' })
  expect([reads, threads.list.length]).toEqual([[], 1])
})

it('asks for no private messages of a guest, who has none', async () => {
  const { reads, histories } = setUp({ history: true, privateHistory: true }, { kind: 'guest', nickname: 'Zed' })
  await histories.checkAll()
  expect(reads).toEqual(['everyone {}'])
})

it('says that older messages are loading, and that they are loaded', async () => {
  const { threads, onChange, histories } = setUp()
  await histories.checkAll()
  onChange.mockClear()
  const done = histories.loadOlder({ kind: 'everyone' })
  await Promise.resolve()
  expect(threads.current.older).toEqual({ kind: 'more', state: 'loading' })
  await done
  expect([threads.current.older, onChange.mock.calls.length]).toEqual([{ kind: 'more', state: 'idle' }, 2])
})
