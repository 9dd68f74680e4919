import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Range } from './coverage'
import type { HistoryPage, PageCursor, PageResult } from './historyApi'
import type { Message } from './message'
import { Stream } from './stream'
import { StreamReader } from './streamReader'
import type { ReaderTarget } from './streamReader'
import type { LoadState } from './thread'

const BUSY: PageResult = { kind: 'failed', failure: { kind: 'transient', reason: 'busy', retryAfterMs: undefined } }
const position = (line: number) => `00000017.${String(line).padStart(10, '0')}`
const lineOf = (text: string) => Number(text.slice(9))

function message(line: number): Message {
  const place = { at: position(line), next: position(line + 1) }
  return { id: `${line}`, sender: { kind: 'user', userId: 'ben' }, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(0), place }
}

/** A history of lines 1 to `end` - 1, of which those before `first` are no longer kept, and the page's stream of it. */
function setUp({ random = () => 0 } = {}) {
  const stream = new Stream()
  const calls: PageCursor[] = []
  const log = { end: 1, first: 1, isForeign: false, calls, failures: 0 }
  const shown = { older: 'idle', resets: 0, lost: 0 }

  const fetchPage = async (cursor: PageCursor, limit: number): Promise<PageResult> => {
    log.calls.push(cursor)
    await Promise.resolve()
    if (log.failures > 0) {
      log.failures -= 1
      return BUSY
    }
    const asked = 'after' in cursor ? cursor.after : cursor.before
    if (asked !== undefined && log.isForeign) return { kind: 'invalid-cursor' }
    const line = asked === undefined ? log.end : lineOf(asked)
    const isLost = line < log.first
    if (isLost && !('after' in cursor)) return { kind: 'page', page: { messages: [], before: null, after: position(line), hasMore: false, isLost } }
    const from = 'after' in cursor ? Math.max(line, log.first) : Math.max(log.first, line - limit)
    const until = 'after' in cursor ? Math.min(log.end, from + limit) : line
    const messages = Array.from({ length: until - from }, (_, index) => message(from + index))
    const hasMore = 'after' in cursor ? until < log.end : from > log.first
    return { kind: 'page', page: { messages, before: !hasMore && !('after' in cursor) ? null : position(from), after: log.end === 1 ? null : position(until), hasMore, isLost } }
  }
  const target = {
    get coverage() { return stream.coverage },
    get epoch() { return shown.resets },
    addPage(page: HistoryPage, range: Range) {
      for (const one of page.messages) stream.insert(one)
      stream.cover(range)
    },
    dropBefore(before: string) {
      shown.lost += 1
      stream.dropBefore(before)
    },
    reset() {
      shown.resets += 1
      log.isForeign = false
      stream.clear()
    },
    setHole: (from: string, state: LoadState) => { stream.setHole(from, state) },
    setOlder: (state: LoadState) => { shown.older = state },
  } satisfies ReaderTarget
  let answer: PageResult | undefined
  const reader = new StreamReader({ fetchPage: async (cursor, limit) => {
    const result = await fetchPage(cursor, limit)
    return answer ?? result
  }, target, random })
  return {
    stream, log, shown, reader, target,
    /** Answers all reads like this. */
    override: (given: PageResult | Partial<HistoryPage>) => {
      answer = 'kind' in given ? given : { kind: 'page', page: { messages: [], before: null, after: null, hasMore: false, isLost: false, ...given } }
    },
    /** All that was read is dropped. */
    forget: () => {
      shown.resets += 1
      stream.clear()
    },
    /** A message that is said; `isHeard` if it arrives live. */
    say: (isHeard: boolean) => {
      const said = message(log.end)
      log.end += 1
      if (!isHeard || said.place === undefined) return
      stream.insert(said)
      stream.cover({ from: said.place.at, until: said.place.next })
      reader.watchHoles()
    },
    lines: () => stream.entries.map(entry => (entry.kind === 'message' ? Number(entry.message.id) : `${entry.kind} ${entry.kind === 'hole' ? entry.state : ''}`)),
  }
}

const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

it('has every message once and in order, after any sequence of arrivals, misses, refusals and reads', async () => {
  const step = fc.oneof(fc.constant('heard'), fc.constant('heard'), fc.constant('missed'), fc.constant('check'), fc.constant('older'), fc.constant('fail'), fc.constant('wait'))
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), fc.nat(250), async (steps, before) => {
    const { log, reader, say, lines, stream } = setUp()
    log.end += before
    for (const action of steps) {
      if (action === 'heard' || action === 'missed') say(action === 'heard')
      else if (action === 'check') void reader.check()
      else if (action === 'older') void reader.loadOlder()
      else if (action === 'fail') log.failures += 2
      else await vi.advanceTimersByTimeAsync(1000)
    }
    log.failures = 0
    void reader.check()
    await vi.advanceTimersByTimeAsync(120_000)
    while (stream.coverage.start !== '') await reader.loadOlder()
    for (const { from } of stream.coverage.holes) while (stream.coverage.holes.some(hole => hole.from === from)) await reader.fillHole(from)
    expect(lines()).toEqual(upTo(1, log.end - 1))
    reader.close()
  }), { numRuns: 200 })
})

describe('catching up', () => {
  it('reads the newest page first, and what came since later', async () => {
    const { log, reader, lines } = setUp()
    log.end = 61
    await reader.check()
    expect(lines()).toEqual(upTo(11, 60))
    log.end = 71
    await reader.check()
    expect(lines()).toEqual(upTo(11, 70))
    expect(log.calls).toEqual([{}, { after: position(61) }])
  })

  it('after a long absence shows the newest page behind a hole that is read on demand', async () => {
    const { log, reader, lines } = setUp()
    log.end = 11
    await reader.check()
    log.end = 311
    await reader.check()
    expect(lines()).toEqual([...upTo(1, 110), 'hole idle', ...upTo(261, 310)])
    await reader.fillHole(position(111))
    expect(lines()).toEqual([...upTo(1, 110), 'hole idle', ...upTo(161, 310)])
    await reader.fillHole(position(111))
    expect(lines()).toEqual(upTo(1, 310))
  })

  it('is repeated until it succeeds', async () => {
    const { log, reader, lines } = setUp()
    log.end = 3
    log.failures = 3
    await expect(reader.check()).resolves.toBe(false)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(lines()).toEqual([1, 2])
  })

  it('reads once for several requests at the same time', async () => {
    const { log, reader } = setUp()
    log.end = 3
    await Promise.all([reader.check(), reader.check(), reader.check()])
    expect(log.calls.length).toBe(1)
  })

  it('drops what is no longer kept', async () => {
    const { log, reader, lines, shown } = setUp()
    log.end = 11
    await reader.check()
    Object.assign(log, { first: 21, end: 26 })
    await reader.check()
    expect(lines()).toEqual(upTo(21, 25))
    expect(shown.lost).toBe(1)
  })

  it('begins anew if the history is another one', async () => {
    const { log, reader, lines, shown } = setUp()
    log.end = 11
    await reader.check()
    Object.assign(log, { isForeign: true, end: 5 })
    await reader.check()
    expect([lines(), shown.resets]).toEqual([upTo(1, 4), 1])
  })
})

describe('messages that arrive before they are read', () => {
  it('do not stand for the newest page', async () => {
    const { log, reader, say, lines } = setUp()
    log.end = 11
    say(true)
    await reader.check()
    expect(lines()).toEqual(upTo(1, 11))
  })

  it('do not delay what was missed before them', async () => {
    const { log, reader, say, lines } = setUp()
    log.end = 11
    await reader.check()
    say(false)
    say(true)
    await reader.check()
    expect(lines()).toEqual(upTo(1, 12))
  })
})

describe('an answer that comes too late', () => {
  it('adds nothing after all was erased, and what is there now is read', async () => {
    const { log, reader, lines, target, forget } = setUp()
    log.end = 11
    await reader.check()
    log.end = 12
    const checked = reader.check()
    await Promise.resolve()
    Object.assign(log, { first: 12, end: 13 })
    forget()
    await checked
    expect(lines()).toEqual([])
    await vi.advanceTimersByTimeAsync(1000)
    expect([lines(), target.coverage.end]).toEqual([[12], position(13)])
  })

  it('changes nothing after the thread was left, and nothing more is asked for', async () => {
    const { log, reader, shown } = setUp()
    log.end = 201
    await reader.check()
    const loaded = Promise.all([reader.loadOlder(), reader.loadOlder()])
    await Promise.resolve()
    const { length } = log.calls
    reader.close()
    await loaded
    await reader.check()
    expect([shown.older, log.calls.length]).toEqual(['loading', length])
  })
})

it('reads the newest page if the history turns out to be another one while older messages are read', async () => {
  const { log, reader, lines } = setUp()
  log.end = 201
  await reader.check()
  Object.assign(log, { isForeign: true, end: 5 })
  await reader.loadOlder()
  await vi.advanceTimersByTimeAsync(0)
  expect(lines()).toEqual(upTo(1, 4))
})

it('goes on after an error of its own', async () => {
  const { log, reader, lines, target } = setUp()
  log.end = 3
  const broken = vi.spyOn(target, 'addPage').mockImplementationOnce(() => { throw new Error('broken') })
  await expect(reader.check()).rejects.toThrow('broken')
  broken.mockRestore()
  await reader.check()
  expect(lines()).toEqual([1, 2])
})

describe('answers that make no sense', () => {
  const page = (values: object): PageResult => ({ kind: 'page', page: { messages: [], before: null, after: null, hasMore: true, isLost: false, ...values } })
  const [early, late] = [position(10), position(20)]

  it.each([
    ['a newest page whose end is before its beginning', {}, page({ before: late, after: early })],
    ['a newest page without an end', {}, page({ before: late })],
    ['a page before a position that is behind it', { before: early }, page({ before: late, after: early })],
    ['a page before a position that ends where it begins', { before: early }, page({ before: early, after: early })],
    ['a page after a position that is before it', { after: late }, page({ before: late, after: early })],
    ['a page after lost messages that begins behind its end', { after: early }, page({ before: position(30), after: late, isLost: true })],
  ])('are not taken for a part of the history: %s', async (_, cursor: object, answer) => {
    const { reader, target, override } = setUp()
    override({ before: early, after: late })
    await reader.check()
    const before = target.coverage.ranges
    if (Object.keys(cursor).length === 0) target.reset()
    override(answer)
    if ('before' in cursor) await reader.loadOlder()
    else await reader.check()
    expect(target.coverage.ranges).toEqual(Object.keys(cursor).length === 0 ? [] : before)
    reader.close()
  })

  it('leave older messages and holes to the person, instead of asking for ever', async () => {
    const { reader, shown, override, stream, lines, log } = setUp()
    override({ before: late, after: position(21) })
    await reader.check()
    override(page({ before: late, after: late }))
    await reader.loadOlder()
    expect(shown.older).toBe('failed')
    stream.insert(message(30))
    stream.cover({ from: position(30), until: position(31) })
    override(page({ before: position(30), after: position(30) }))
    await reader.fillHole(position(21))
    expect(lines()).toEqual(['hole failed', 30])
    log.calls.splice(0)
    reader.watchHoles()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(log.calls.length).toBe(5)
  })

  it('with nothing in them are not asked for without end', async () => {
    const { reader, shown, override } = setUp()
    let first = 900
    override({ before: position(first), after: position(901) })
    await reader.check()
    let asked = 0
    for (; asked < 100 && shown.older !== 'failed'; asked += 1) {
      first -= 1
      override(page({ before: position(first) }))
      await reader.loadOlder()
    }
    expect(asked).toBe(10)
  })

  it('and always promise more cost two reads for a check', async () => {
    const { reader, override, log } = setUp()
    override({ before: early, after: late, hasMore: true })
    await reader.check()
    log.calls.splice(0)
    await reader.check()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(log.calls.length).toBe(2)
  })
})

describe('a hole', () => {
  it('is read after a while, if it does not close by itself', async () => {
    const { log, reader, say, lines } = setUp()
    say(true)
    await reader.check()
    say(false)
    say(true)
    expect(lines()).toEqual([1, 3])
    const { length } = log.calls
    await vi.advanceTimersByTimeAsync(1900)
    expect(log.calls.length).toBe(length)
    await vi.advanceTimersByTimeAsync(200)
    expect(lines()).toEqual([1, 2, 3])
  })

  it('is asked for five times, and then shown as one that could not be loaded', async () => {
    const { log, reader, say, lines } = setUp()
    say(true)
    await reader.check()
    say(false)
    say(true)
    log.failures = 100
    await vi.advanceTimersByTimeAsync(60_000)
    expect(log.failures).toBe(95)
    expect(lines()).toEqual([1, 'hole failed', 3])
    log.failures = 0
    await reader.fillHole(position(2))
    expect(lines()).toEqual([1, 2, 3])
  })
})

it('says that not even the newest page can be read, until it can', async () => {
  const { log, reader, lines, shown } = setUp()
  log.end = 3
  log.failures = 3
  await reader.check()
  expect(shown.older).toBe('idle')
  await vi.advanceTimersByTimeAsync(500)
  expect(shown.older).toBe('failed')
  await reader.checkAgain()
  expect(shown.older).toBe('failed')
  await reader.checkAgain()
  expect([shown.older, lines()]).toEqual(['idle', [1, 2]])
})

describe('older messages', () => {
  it('are read page by page to the beginning', async () => {
    const { log, reader, lines, shown, stream } = setUp()
    log.end = 201
    await reader.check()
    await reader.loadOlder()
    expect(lines()).toEqual(upTo(51, 200))
    log.failures = 1
    await reader.loadOlder()
    expect(shown.older).toBe('failed')
    await reader.loadOlder()
    expect([lines(), shown.older, stream.coverage.start]).toEqual([upTo(1, 200), 'idle', ''])
    const { length } = log.calls
    await reader.loadOlder()
    expect(log.calls.length).toBe(length)
  })

  it('that are no longer kept are lost', async () => {
    const { log, reader, lines, shown } = setUp()
    log.end = 201
    await reader.check()
    log.first = 190
    await reader.loadOlder()
    expect([lines(), shown.lost]).toEqual([upTo(151, 200), 1])
  })
})
