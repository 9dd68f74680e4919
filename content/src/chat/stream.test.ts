import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Message, Sender } from './message'
import { MAX_MESSAGES, Stream, TRIM_STEP } from './stream'
import type { Entry } from './thread'

const BEN: Sender = { kind: 'user', userId: 'ben' }
const ME: Sender = { kind: 'user', userId: 'ann' }
const position = (line: number) => `00000017.${String(line * 100).padStart(10, '0')}`

/** The message in a line of the history; `undefined` for one that is not there. */
function message(line: number | undefined, values: Partial<Message> = {}): Message {
  const place = line === undefined ? undefined : { at: position(line), next: position(line + 1) }
  return { id: `m${line ?? ''}`, sender: BEN, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(0), place, ...values }
}

const ids = (entries: readonly Entry[]) => entries.map(entry => (entry.kind === 'message' ? `${entry.message.id}${entry.message.isRemoved === true ? ' removed' : ''}` : entry.kind))

describe('the history', () => {
  // Lines of a history: some messages are in it twice, and some of them were removed.
  const lines = fc.array(fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), isRemoved: fc.boolean() }), { minLength: 1, maxLength: 12, size: 'max' }).map((list) => {
    const removed = new Set(list.filter(({ isRemoved }) => isRemoved).map(({ id }) => id))
    return list.map(({ id }, line) => ({ id, line, isRemoved: removed.has(id) }))
  })

  it('is the same list for any order of frames, pages, removals and duplicates', () => {
    fc.assert(fc.property(lines, fc.infiniteStream(fc.nat(1_000_000)), (log, random) => {
      const next = (limit: number) => (random.next().value ?? 0) % limit
      const stream = new Stream()
      const page = (from: number, until: number) => {
        for (const { id, line, isRemoved } of log.slice(from, until)) stream.insert(message(line, isRemoved ? { id, text: '', isRemoved } : { id }))
        stream.cover({ from: position(from), until: position(until) })
      }
      const steps = Array.from({ length: 3 * log.length }, () => ({ kind: next(3), line: next(log.length), length: next(4) }))
      for (const { kind, line, length } of steps) {
        const one = log[line]
        if (one === undefined) continue
        if (kind === 0) {
          stream.insert(message(line, { id: one.id }))
          stream.cover({ from: position(line), until: position(line + 1) })
        } else if (kind === 1 && one.isRemoved) {
          stream.removeAt(position(line))
        } else {
          page(line, Math.min(log.length, line + length))
        }
      }
      page(0, log.length)
      const first = log.filter(({ id }, index) => log.findIndex(other => other.id === id) === index)
      expect(ids(stream.entries)).toEqual(first.map(({ id, isRemoved }) => (isRemoved ? `${id} removed` : id)))
      expect(stream.coverage.ranges).toEqual([{ from: position(0), until: position(log.length) }])
    }), { numRuns: 500 })
  })

  it('knows its holes, and shows those that have a state', () => {
    const stream = new Stream()
    for (const line of [1, 2, 5]) {
      stream.insert(message(line))
      stream.cover({ from: position(line), until: position(line + 1) })
    }
    expect(stream.coverage.holes).toEqual([{ from: position(3), until: position(5) }])
    expect(ids(stream.entries)).toEqual(['m1', 'm2', 'm5'])
    stream.setHole(position(3), 'failed')
    expect(ids(stream.entries)).toEqual(['m1', 'm2', 'hole', 'm5'])
    // The end of the hole was loaded.
    stream.insert(message(4))
    stream.cover({ from: position(4), until: position(5) })
    expect(ids(stream.entries)).toEqual(['m1', 'm2', 'hole', 'm4', 'm5'])
    stream.cover({ from: position(3), until: position(4) })
    expect(ids(stream.entries)).toEqual(['m1', 'm2', 'm4', 'm5'])
  })

  it('does not let one person hide the message of another by its id, nor a person a text of their own', () => {
    const stream = new Stream()
    stream.insert(message(2, { id: 'x' }))
    stream.insert(message(1, { id: 'x', sender: { kind: 'user', userId: 'mallory' } }))
    stream.insert(message(3, { id: 'x', text: 'something else' }))
    expect(ids(stream.entries)).toEqual(['x', 'x', 'x'])
  })

  it('does not take the beginning of a text for the end of a name', () => {
    const stream = new Stream()
    stream.insert(message(1, { id: 'x', sender: { kind: 'user', userId: 'ann' }, text: 'smith hello' }))
    stream.insert(message(2, { id: 'x', sender: { kind: 'user', userId: 'ann smith' }, text: 'hello' }))
    stream.insert(message(3, { id: 'x', sender: { kind: 'guest', nickname: undefined }, text: 'a b' }))
    stream.insert(message(4, { id: 'x', sender: { kind: 'user', userId: ' a' }, text: 'b' }))
    expect(stream.entries.length).toBe(4)
  })

  it('hides a message that arrives after its removal', () => {
    const stream = new Stream()
    stream.removeAt(position(1))
    stream.insert(message(1))
    expect(ids(stream.entries)).toEqual(['m1 removed'])
    expect(stream.entries).toMatchObject([{ message: { text: '' } }])
  })

  it('does not hide a message of another history at the position of one that was removed', () => {
    const stream = new Stream()
    stream.insert(message(1))
    stream.removeAt(position(1))
    stream.clear()
    stream.insert(message(1, { id: 'other' }))
    expect(ids(stream.entries)).toEqual(['other'])
  })

  it('forgets what is no longer kept', () => {
    const stream = new Stream()
    for (const line of [1, 2, 3]) stream.insert(message(line))
    stream.cover({ from: position(1), until: position(4) })
    stream.dropBefore(position(3))
    expect(ids(stream.entries)).toEqual(['m3'])
    expect(stream.coverage.start).toBe(position(3))
  })

  it('keeps the newest messages if there are too many, and does not drop a few with each one that arrives', () => {
    const stream = new Stream()
    const insert = (from: number, until: number) => {
      for (let line = from; line < until; line += 1) stream.insert(message(line, { id: `${line}` }))
      stream.trim()
    }
    insert(0, MAX_MESSAGES + 1)
    expect(stream.entries.length).toBe(MAX_MESSAGES + 1)
    insert(MAX_MESSAGES + 1, MAX_MESSAGES + TRIM_STEP)
    expect(stream.entries.length).toBe(MAX_MESSAGES)
    expect(ids(stream.entries.slice(0, 1))).toEqual([`${TRIM_STEP}`])
  })
})

describe('an own message', () => {
  const sent = { kind: 'sent' } as const

  it.each(['the answer', 'the message'])('is one entry at its place, if %s comes first', (first) => {
    const stream = new Stream()
    stream.insert(message(1))
    stream.addUnsent(message(undefined, { id: 'own', sender: ME }), { kind: 'sending' })
    stream.insert(message(3))
    expect(ids(stream.entries)).toEqual(['m1', 'm3', 'own'])
    const published = message(2, { id: 'own', sender: ME })
    const answer = () => { stream.setPublished(published, { kind: 'sent', recipientOnline: false }) }
    const live = () => { stream.insert(published, sent) }
    if (first === 'the answer') answer()
    live()
    if (first === 'the message') answer()
    expect(ids(stream.entries)).toEqual(['m1', 'own', 'm3'])
    expect(stream.entries[1]).toMatchObject({ delivery: { kind: 'sent', recipientOnline: false } })
  })

  it('keeps its key when it is published, also with another spelling of the sender', () => {
    const stream = new Stream()
    stream.addUnsent(message(undefined, { id: 'own', sender: ME }), { kind: 'sending' })
    const key = stream.entries[0]?.key
    stream.setPublished(message(1, { id: 'own', sender: { kind: 'user', userId: 'Ann' } }), sent)
    expect(stream.entries).toMatchObject([{ key, message: { sender: { userId: 'Ann' } } }])
  })

  it('without a place in the history stays behind the messages that were there', () => {
    const stream = new Stream()
    stream.insert(message(1))
    stream.addUnsent(message(undefined, { id: 'own', sender: ME }), { kind: 'sending' })
    stream.setPublished(message(undefined, { id: 'own', sender: ME }), sent)
    stream.insert(message(2))
    expect(ids(stream.entries)).toEqual(['m1', 'own', 'm2'])
  })

  it('without a history stays where it arrived when the answer comes', () => {
    const stream = new Stream()
    stream.addUnsent(message(undefined, { id: 'own', sender: ME }), { kind: 'sending' })
    stream.insert(message(undefined, { id: 'own', sender: ME }), sent)
    stream.insert(message(undefined, { id: 'next' }))
    stream.setPublished(message(undefined, { id: 'own', sender: ME }), { kind: 'sent', recipientOnline: false })
    expect(ids(stream.entries)).toEqual(['own', 'next'])
    expect(stream.entries[0]).toMatchObject({ delivery: { kind: 'sent', recipientOnline: false } })
  })

  it('that was removed on another device before its answer comes stays removed', () => {
    const stream = new Stream()
    stream.addUnsent(message(undefined, { id: 'own', sender: ME }), { kind: 'sending' })
    stream.removeAt(position(1))
    stream.setPublished(message(1, { id: 'own', sender: ME }), sent)
    expect(ids(stream.entries)).toEqual(['own removed'])
  })

  it('can be taken back', () => {
    const stream = new Stream()
    stream.addUnsent(message(undefined, { id: 'own', sender: ME }), { kind: 'sending' })
    stream.setDelivery('own', { kind: 'unsent', reason: 'no', next: 'edit' })
    expect(stream.findUnsent('own')).toMatchObject({ delivery: { kind: 'unsent' } })
    stream.removeUnsent('own')
    expect(stream.entries).toEqual([])
  })
})

describe('without a history', () => {
  it('messages are in the order of arrival, once each, with gaps between them', () => {
    const stream = new Stream()
    stream.addGap(new Date(0), new Date(1))
    for (const id of ['b', 'a', 'b']) stream.insert(message(undefined, { id }))
    stream.addGap(new Date(2), new Date(3))
    stream.addGap(new Date(4), new Date(5))
    stream.insert(message(undefined, { id: 'c' }))
    expect(ids(stream.entries)).toEqual(['b', 'a', 'gap', 'c'])
    expect(stream.entries[2]).toMatchObject({ from: new Date(2), until: new Date(5) })
  })
})

it('counts the messages of others behind a mark', () => {
  const stream = new Stream()
  stream.insert(message(1))
  stream.cover({ from: position(1), until: position(2) })
  const mark = stream.readMark
  stream.insert(message(2))
  stream.insert(message(3, { id: 'own', sender: ME }), { kind: 'sent' })
  stream.insert(message(undefined, { id: 'loose' }))
  stream.insert(message(4, { id: 'gone', isRemoved: true, text: '' }))
  expect(ids(stream.unreadAfter(mark))).toEqual(['m2', 'loose'])
  stream.cover({ from: position(2), until: position(5) })
  expect(stream.unreadAfter(stream.readMark)).toEqual([])
})
