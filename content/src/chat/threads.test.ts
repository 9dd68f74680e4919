import { describe, expect, it } from 'vitest'
import type { HistoryPage } from './historyApi'
import { knownPeople } from './knownPeople'
import type { Audience, Message, Sender } from './message'
import { MAX_PEOPLE, Threads } from './threads'
import type { Thread } from './thread'

const ANN: Sender = { kind: 'user', userId: 'ann' }
const BEN: Sender = { kind: 'user', userId: 'ben' }
const EVERYONE: Audience = { kind: 'everyone' }
const GAMES: Audience = { kind: 'room', room: 'games' }
const TO_BEN: Audience = { kind: 'person', userId: 'ben' }
const HISTORY = { history: true, privateHistory: true }
const position = (line: number) => `00000017.${String(line).padStart(10, '0')}`

let made = 0
function message(values: Partial<Message> & { line?: number }): Message {
  const { line, ...rest } = values
  made += 1
  const place = line === undefined ? undefined : { at: position(line), next: position(line + 1) }
  return { id: `m${made}`, sender: BEN, audience: EVERYONE, text: 'hi', sentAt: new Date(made), place, ...rest }
}

function page(messages: readonly Message[], values: Partial<HistoryPage> = {}): HistoryPage {
  return { messages, before: null, after: null, hasMore: false, isLost: false, ...values }
}

const texts = (thread: Thread | undefined) => thread?.entries.map(entry => (entry.kind === 'message' ? entry.message.text : entry.kind))
const find = (threads: Threads, key: string) => threads.list.find(thread => thread.key === key)

describe('messages', () => {
  it('go to the thread that they belong to', () => {
    const threads = new Threads(ANN)
    threads.open(GAMES)
    threads.receive([
      message({ text: 'to everyone' }),
      message({ text: 'in the room', audience: GAMES }),
      message({ text: 'in another room', audience: { kind: 'room', room: 'music' } }),
      message({ text: 'to me', audience: { kind: 'person', userId: 'ann' } }),
      message({ text: 'from my other device', audience: TO_BEN, sender: ANN }),
      message({ text: 'to myself', audience: { kind: 'person', userId: 'ann' }, sender: ANN }),
    ], true)
    expect(threads.list.map(thread => [thread.key, texts(thread)])).toEqual([
      ['everyone', ['to everyone']],
      ['room games', ['in the room']],
      ['person ben', ['to me', 'from my other device']],
      ['person ann', ['to myself']],
    ])
  })

  it('are unread where they are not on the screen, without the person\'s own', () => {
    const threads = new Threads(ANN)
    const grown = threads.receive([message({}), message({ audience: TO_BEN }), message({ audience: TO_BEN, sender: ANN })], true)
    expect(grown.map(({ key, unread }) => [key, unread])).toEqual([['person ben', 1]])
    expect(threads.receive([message({})], false).map(({ key, unread }) => [key, unread])).toEqual([['everyone', 1]])
    threads.markRead()
    expect(threads.current).toMatchObject({ unread: 0, firstUnread: threads.current.entries[1]?.key })
    threads.open(TO_BEN)
    expect(find(threads, 'everyone')?.firstUnread).toBeUndefined()
  })

  it('keep the entries of other threads as they are', () => {
    const threads = new Threads(ANN)
    threads.receive([message({}), message({ audience: TO_BEN })], true)
    const { entries } = threads.current
    threads.receive([message({ audience: TO_BEN })], true)
    threads.write(EVERYONE, 'typed')
    expect(threads.current.entries).toBe(entries)
  })

  it('that were sent stay in the thread in which they were written', () => {
    const threads = new Threads(ANN)
    const own = message({ id: 'own', sender: ANN, audience: TO_BEN, text: 'hello' })
    threads.addUnsent(own)
    threads.setDelivery('own', { kind: 'paused' })
    expect(threads.findUnsent('own')?.delivery).toEqual({ kind: 'paused' })
    threads.setPublished({ ...own, audience: { kind: 'person', userId: 'Ben' } }, { kind: 'sent' })
    expect(threads.findUnsent('own')).toBeUndefined()
    expect(find(threads, 'person ben')?.entries).toMatchObject([{ delivery: { kind: 'sent' } }])
  })
})

describe('without a history', () => {
  it('a time without connection is a gap', () => {
    const threads = new Threads(ANN)
    threads.setFeatures({ history: true, privateHistory: false })
    threads.receive([message({ line: 1 }), message({ audience: TO_BEN, text: 'private' })], true)
    threads.addGap(new Date(1), new Date(2))
    expect([texts(threads.current), texts(find(threads, 'person ben'))]).toEqual([['hi'], ['private', 'gap']])
    expect(threads.list.map(({ older }) => older.kind)).toEqual(['more', 'none'])
  })
})

describe('the first visit', () => {
  it('finds nothing new in what was said before', () => {
    const threads = new Threads(ANN)
    threads.setFeatures(HISTORY)
    threads.target({ kind: 'everyone' }).addPage(page([message({ line: 1 })]), { from: '', until: position(2) })
    threads.target({ kind: 'private' }).addPage(page([message({ line: 5, audience: TO_BEN })]), { from: '', until: position(6) })
    expect(threads.list.map(({ key, unread, arrived }) => [key, unread, arrived])).toEqual([['everyone', 0, 0], ['person ben', 0, 0]])
    expect(threads.readMarks).toEqual({ 'everyone': position(2), 'private': position(6), 'person ben': position(6) })
  })

  it('counts what is said while the first page is under way', () => {
    const threads = new Threads(ANN)
    threads.setFeatures(HISTORY)
    threads.receive([message({ line: 2 })], false)
    threads.target({ kind: 'everyone' }).addPage(page([message({ line: 1 })]), { from: '', until: position(2) })
    expect(threads.current).toMatchObject({ unread: 1, older: { kind: 'beginning' } })
  })
})

describe('the next visit', () => {
  const marks = { 'everyone': position(2), 'private': position(3), 'person ben': position(4) }

  it('counts what was said since, and marks where it begins', () => {
    const threads = new Threads(ANN, marks)
    threads.setFeatures(HISTORY)
    const news = message({ line: 2, text: 'new' })
    threads.target({ kind: 'everyone' }).addPage(page([message({ line: 1 }), news]), { from: position(1), until: position(3) })
    threads.target({ kind: 'private' }).addPage(page([
      message({ line: 3, audience: TO_BEN, text: 'read' }),
      message({ line: 4, audience: TO_BEN, text: 'not read' }),
      message({ line: 5, audience: { kind: 'person', userId: 'ann' }, sender: { kind: 'user', userId: 'cy' }, text: 'from a new person' }),
    ]), { from: position(3), until: position(6) })
    expect(threads.list.map(({ key, unread, hasMoreUnread }) => [key, unread, hasMoreUnread])).toEqual([
      ['everyone', 1, false], ['person ben', 1, false], ['person cy', 1, false],
    ])
    threads.markRead()
    const entry = threads.current.entries[1]
    expect(threads.current).toMatchObject({ unread: 0, firstUnread: entry?.key, arrived: 1 })
    expect(threads.readMarks['everyone']).toBe(position(3))
  })

  it('does not forget what was read while nothing is loaded', () => {
    const threads = new Threads(ANN, marks)
    threads.setFeatures(HISTORY)
    threads.markRead()
    threads.target({ kind: 'everyone' }).addPage(page([message({ line: 1 })]), { from: '', until: position(2) })
    expect([threads.current.unread, threads.readMarks['everyone']]).toEqual([0, position(2)])
  })

  it('says that there is more than what is loaded', () => {
    const threads = new Threads(ANN, marks)
    threads.setFeatures(HISTORY)
    threads.target({ kind: 'everyone' }).addPage(page([message({ line: 50 })]), { from: position(50), until: position(51) })
    expect(threads.current).toMatchObject({ unread: 1, hasMoreUnread: true })
  })
})

describe('the private history', () => {
  it('is one for all people: a page or a message covers it for each', () => {
    const threads = new Threads(ANN)
    threads.setFeatures(HISTORY)
    const target = threads.target({ kind: 'private' })
    target.addPage(page([message({ line: 4, audience: TO_BEN })]), { from: position(4), until: position(5) })
    threads.receive([message({ line: 5, audience: { kind: 'person', userId: 'ann' }, sender: { kind: 'user', userId: 'cy' } })], true)
    const ben = threads.target({ kind: 'private', with: 'ben' })
    expect([target.coverage.end, ben.coverage.end, threads.target({ kind: 'private', with: 'cy' }).coverage.start]).toEqual([position(6), position(6), position(4)])
    // Older messages with one person say nothing about those with another.
    ben.addPage(page([message({ line: 1, audience: TO_BEN })]), { from: '', until: position(4) })
    expect([ben.coverage.start, target.coverage.start]).toEqual(['', position(4)])
  })

  it('is empty after it was erased, except what waits to be sent', () => {
    const threads = new Threads(ANN)
    threads.setFeatures(HISTORY)
    threads.receive([message({ line: 5, audience: TO_BEN })], true)
    threads.addUnsent(message({ id: 'own', sender: ANN, audience: TO_BEN, text: 'waiting' }))
    threads.erasePrivate()
    expect(texts(find(threads, 'person ben'))).toEqual(['waiting'])
  })
})

describe('what was read', () => {
  it('stays read when it is known late, or again, that there is a history', () => {
    const threads = new Threads(ANN, { everyone: position(1) })
    threads.receive([message({ line: 1 }), message({ line: 2 })], true)
    threads.markRead()
    for (let times = 0; times < 2; times += 1) {
      threads.setFeatures(HISTORY)
      expect([threads.current.unread, threads.readMarks['everyone']]).toEqual([0, position(3)])
    }
  })

  it('does not include what arrives before it is known that there is a history', () => {
    const threads = new Threads(ANN)
    threads.receive([message({ line: 7, audience: { kind: 'person', userId: 'ann' } })], true)
    threads.setFeatures(HISTORY)
    threads.target({ kind: 'private' }).addPage(page([message({ line: 3, audience: TO_BEN })]), { from: '', until: position(8) })
    expect(find(threads, 'person ben')?.unread).toBe(1)
  })

  it('stays read after a room was left and entered again', () => {
    const threads = new Threads(ANN, { 'room games': position(1) })
    threads.setFeatures(HISTORY)
    threads.open(GAMES)
    const target = threads.target({ kind: 'room', room: 'games' })
    const read = () => { target.addPage(page([message({ line: 1, audience: GAMES })]), { from: '', until: position(2) }) }
    read()
    threads.markRead()
    threads.leave('games')
    threads.add(GAMES)
    read()
    expect(find(threads, 'room games')?.unread).toBe(0)
  })
})

it('has no gap where it turns out that there is a history', () => {
  const threads = new Threads(ANN)
  threads.receive([message({ line: 1 })], true)
  threads.addGap(new Date(1), new Date(2))
  threads.setFeatures(HISTORY)
  expect(texts(threads.current)).toEqual(['hi'])
})

it('restores messages with a gap after them where there were some', () => {
  const threads = new Threads(ANN)
  threads.restore([message({ audience: TO_BEN })], new Date(1), new Date(2))
  threads.receive([message({ text: 'new' })], false)
  threads.restore([], new Date(1), new Date(3))
  expect([texts(find(threads, 'person ben')), texts(threads.current), threads.current.unread]).toEqual([['hi', 'gap'], ['new'], 1])
})

describe('a person whose thread was dropped', () => {
  const many = (from: number) => Array.from({ length: MAX_PEOPLE }, (_, number) => message({
    line: from + number, sender: { kind: 'user', userId: `p${number}` }, audience: { kind: 'person', userId: 'ann' },
  }))

  it('has the messages that were loaded before read again', () => {
    const threads = new Threads(ANN)
    threads.setFeatures(HISTORY)
    const target = threads.target({ kind: 'private' })
    target.addPage(page([message({ line: 1, audience: TO_BEN, sender: ANN })]), { from: '', until: position(2) })
    threads.receive(many(2), false)
    expect(find(threads, 'person ben')).toBeUndefined()
    threads.open(TO_BEN)
    expect([texts(threads.current), threads.current.older]).toEqual([[], { kind: 'more', state: 'idle' }])
    expect([target.coverage.start, threads.target({ kind: 'private', with: 'ben' }).coverage.start]).toEqual(['', position(MAX_PEOPLE + 2)])
  })

  it('has read what was read', () => {
    const threads = new Threads(ANN, { private: position(1) })
    threads.setFeatures(HISTORY)
    const fromBen = message({ line: 1, audience: { kind: 'person', userId: 'ann' } })
    threads.receive([fromBen], true)
    threads.open(TO_BEN)
    threads.markRead()
    threads.open({ kind: 'everyone' })
    threads.receive(many(2), false)
    expect(find(threads, 'person ben')).toBeUndefined()
    threads.target({ kind: 'private', with: 'ben' }).addPage(page([fromBen]), { from: '', until: position(2) })
    expect([texts(find(threads, 'person ben')), find(threads, 'person ben')?.unread]).toEqual([['hi'], 0])
  })

  it('is not one with unread messages', () => {
    const threads = new Threads(ANN)
    threads.receive([message({ audience: { kind: 'person', userId: 'ann' } })], true)
    threads.open({ kind: 'person', userId: 'cy' })
    threads.open({ kind: 'everyone' })
    threads.receive(many(1).slice(1), false)
    expect([find(threads, 'person ben')?.unread, find(threads, 'person cy')]).toEqual([1, undefined])
  })
})

it('shows a hole of the private history to a person who writes for the first time, too', () => {
  const threads = new Threads(ANN)
  threads.setFeatures(HISTORY)
  const target = threads.target({ kind: 'private' })
  target.addPage(page([message({ line: 1, audience: TO_BEN })]), { from: '', until: position(2) })
  target.addPage(page([message({ line: 8, audience: TO_BEN })]), { from: position(8), until: position(9) })
  target.setHole(position(2), 'idle')
  threads.receive([message({ line: 9, text: 'new', sender: { kind: 'user', userId: 'cy' }, audience: { kind: 'person', userId: 'ann' } })], true)
  expect(texts(find(threads, 'person cy'))).toEqual(['hole', 'new'])
})

it('reads all private messages anew if one reader finds that the history is another one', () => {
  const threads = new Threads(ANN)
  threads.setFeatures(HISTORY)
  const [all, ben] = [threads.target({ kind: 'private' }), threads.target({ kind: 'private', with: 'ben' })]
  all.addPage(page([message({ line: 1, audience: TO_BEN })]), { from: '', until: position(2) })
  const { epoch } = all
  ben.reset()
  expect([all.coverage.end, ben.coverage.end, all.epoch === epoch, ben.epoch === all.epoch]).toEqual([undefined, undefined, false, true])
})

describe('a room', () => {
  it('is gone after leaving it, and everyone is open', () => {
    const threads = new Threads(ANN)
    threads.open(GAMES)
    threads.leave('games')
    expect([threads.current.key, threads.list.length]).toEqual(['everyone', 1])
    threads.receive([message({ audience: GAMES })], true)
    expect(threads.list.length).toBe(1)
  })

  it('shows that a message was removed', () => {
    const threads = new Threads(ANN)
    threads.open(GAMES)
    threads.receive([message({ line: 1, audience: GAMES })], true)
    threads.remove(GAMES, position(1))
    expect(threads.current.entries).toMatchObject([{ message: { isRemoved: true, text: '' } }])
  })
})

it('keeps a limited number of people, those with unsent text among them', () => {
  const threads = new Threads(ANN)
  threads.write({ kind: 'person', userId: 'typed' }, 'text')
  for (let number = 0; number < MAX_PEOPLE + 10; number += 1) threads.receive([message({ sender: { kind: 'user', userId: `p${number}` }, audience: { kind: 'person', userId: 'ann' } })], true)
  expect(threads.list.length).toBe(MAX_PEOPLE + 1)
  expect(find(threads, 'person typed')).toBeDefined()
})

it('knows the people to write to, the latest first', () => {
  const threads = new Threads(ANN)
  threads.receive([message({ sender: { kind: 'user', userId: 'cy' } }), message({}), message({ sender: { kind: 'guest', nickname: 'Zed' } }), message({ sender: ANN })], true)
  threads.open({ kind: 'person', userId: 'dan' })
  expect(knownPeople(threads.list, ANN)).toEqual(['dan', 'ben', 'cy'])
})
