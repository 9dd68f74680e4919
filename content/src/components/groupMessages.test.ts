import { describe, expect, it } from 'vitest'
import type { Entry, MessageEntry } from '../chat/thread'
import { groupMessages } from './groupMessages'

const NOW = new Date(2026, 10, 27, 15, 0)
const at = (hours: number, minutes = 0, day = 27) => new Date(2026, 10, day, hours, minutes)
let count = 0

function message(from: string, sentAt: Date): MessageEntry {
  count += 1
  const sender = from === 'Zed' ? { kind: 'guest', nickname: 'Zed' } as const : { kind: 'user', userId: from } as const
  return {
    kind: 'message', key: `m${count}`, delivery: from === 'me' ? { kind: 'sent' } : undefined,
    message: { id: `m${count}`, sender, audience: { kind: 'everyone' }, text: 'hi', sentAt },
  }
}

const group = (entries: readonly Entry[], firstUnread?: string, start = 0, end = entries.length) => groupMessages(entries, { start, end }, firstUnread, NOW)
const kinds = (...args: Parameters<typeof group>) => group(...args).map(row => (row.kind === 'message' ? `${row.isGroupStart ? '[' : ''}m${row.isGroupEnd ? ']' : ''}` : row.kind)).join(' ')

describe('messages', () => {
  it.each([
    ['of one person', ['ben', 'ben', 'ben'], 'day [m m m]'],
    ['of this person', ['me', 'me'], 'day [m m]'],
    ['of two people', ['ben', 'cy', 'ben'], 'day [m] [m] [m]'],
    ['of guests, who may be two with one name,', ['Zed', 'Zed'], 'day [m] [m]'],
    ['of this person and another', ['ben', 'me', 'me', 'ben'], 'day [m] [m m] [m]'],
  ])('%s are grouped', (_, people, expected) => {
    expect(kinds(people.map((from, minute) => message(from, at(9, minute))))).toBe(expected)
  })

  it('are not grouped over five minutes, a new line, a day, or something that is missing', () => {
    const [a, b, c, d] = [message('ben', at(9)), message('ben', at(9, 5)), message('ben', at(9, 6)), message('ben', at(9, 7))]
    expect(kinds([a, b, c, d], d.key)).toBe('day [m] [m m] new [m]')
    expect(kinds([message('ben', at(23, 59, 26)), message('ben', at(0, 0))])).toBe('day [m] day [m]')
    expect(kinds([a, { kind: 'gap', key: 'gap', from: at(9, 1), until: at(9, 2) }, message('ben', at(9, 3))])).toBe('day [m] gap [m]')
    expect(kinds([a, { kind: 'hole', key: 'hole', from: '1', until: '2', state: 'idle' }, message('ben', at(9, 3))])).toBe('day [m] hole [m]')
  })

  it('look the same, whichever entries are shown', () => {
    const entries = ['ben', 'ben', 'cy', 'me', 'me', 'me', 'ben'].map((from, minute) => message(from, at(9, minute)))
    const all = group(entries)
    for (let start = 1; start < entries.length; start += 1) expect(group(entries, undefined, start, start + 1)).toEqual([all[start + 1]])
  })

  it('have the same row as long as they look the same', () => {
    const entries = [message('ben', at(9)), message('ben', at(9, 1))]
    const [before, after] = [group(entries), group([...entries, message('ben', at(9, 2))])]
    expect(after[1]).toBe(before[1])
    expect(after[2]).not.toBe(before[2])
  })

  it('keep the key of their row when they are published under another key', () => {
    const own = message('me', at(9))
    expect(group([own])[1]?.key).toBe(group([{ ...own, key: 'other' }])[1]?.key)
  })
})

describe('the line of a day', () => {
  it('has a key of its own, so that it stays when older messages of the day are added', () => {
    const entry = message('ben', at(9))
    expect(group([entry])[0]).toEqual(group([message('ben', at(8)), entry])[0])
  })

  it('says the day in words', () => {
    const label = (date: Date) => group([message('ben', date)]).flatMap(row => (row.kind === 'day' ? row.label : []))[0]
    expect([label(at(9)), label(at(23, 0, 26))]).toEqual(['Today', 'Yesterday'])
    expect(label(at(9, 0, 2))).toMatch(/2/)
    expect(label(new Date(2024, 10, 2))).toMatch(/2024/)
  })

  it('is there once, even if messages around midnight are not in the order of their times', () => {
    expect(kinds([message('ben', at(23, 59, 26)), message('cy', at(0, 0)), message('ben', at(23, 59, 26)), message('cy', at(0, 1))])).toBe('day [m] day [m] [m] [m]')
  })

  it('is not repeated at the first row that is shown', () => {
    const entries = [message('ben', at(9)), message('cy', at(10))]
    expect(kinds(entries, undefined, 1)).toBe('[m]')
  })
})
