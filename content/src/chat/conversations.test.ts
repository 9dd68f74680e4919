import { describe, expect, it } from 'vitest'
import { Conversations, knownPeople, MAX_CONVERSATIONS, MAX_ENTRIES, MAX_KNOWN_PEOPLE } from './conversations'
import type { Message, Sender } from './message'

const ALICE: Sender = { kind: 'user', userId: 'alice' }
const user = (userId: string): Sender => ({ kind: 'user', userId })
const toEveryone = (id: string, sender = user('bob')): Message => ({ id, sender, audience: { kind: 'everyone' }, text: id, sentAt: new Date(0) })
const toAlice = (id: string, from: string): Message => ({ ...toEveryone(id, user(from)), audience: { kind: 'person', userId: 'alice' } })
const many = (count: number, make: (n: number) => Message) => Array.from({ length: count }, (_, n) => make(n))

describe('the conversations', () => {
  it('do not read the messages that are there when one more arrives', () => {
    const conversations = new Conversations(ALICE)
    let reads = 0
    const counted = many(MAX_ENTRIES, n => new Proxy(toEveryone(`m${n}`), {
      get(message, name, receiver) {
        reads += 1
        const value: unknown = Reflect.get(message, name, receiver)
        return value
      },
    }))
    conversations.receive(counted, true)
    reads = 0
    for (let n = 0; n < 50; n += 1) conversations.receive([toEveryone(`new ${n}`)], true)
    expect(conversations.current.entries.at(-1)?.key).toBe('new 49 bob')
    expect(conversations.current.entries).toHaveLength(MAX_ENTRIES)
    expect(reads).toBe(0)
  })

  it('keep each entry as it is when others arrive, so that it is not drawn again', () => {
    const conversations = new Conversations(ALICE)
    conversations.receive(many(10, n => toEveryone(`m${n}`)), true)
    const before = conversations.current.entries
    conversations.receive([toEveryone('new')], true)
    expect(conversations.current.entries.slice(0, 10).every((entry, at) => entry === before[at])).toBe(true)
  })

  it('keep the latest messages of a batch that is larger than a conversation', () => {
    const conversations = new Conversations(ALICE)
    conversations.receive(many(3 * MAX_ENTRIES, n => toEveryone(`m${n}`)), false)
    expect(conversations.current.entries).toHaveLength(MAX_ENTRIES)
    expect(conversations.current.entries.at(-1)?.key).toBe(`m${3 * MAX_ENTRIES - 1} bob`)
    expect(conversations.current).toMatchObject({ arrived: 3 * MAX_ENTRIES, unread: 3 * MAX_ENTRIES })
  })

  it('have each message once, also within a batch', () => {
    const conversations = new Conversations(ALICE)
    conversations.receive([toEveryone('a'), toEveryone('a'), toEveryone('a', user('carol'))], true)
    conversations.receive([toEveryone('a')], true)
    expect(conversations.current.entries.map(({ key }) => key)).toEqual(['a bob', 'a carol'])
  })

  it('count unread messages unless the conversation is open on a visible page', () => {
    const conversations = new Conversations(ALICE)
    expect(conversations.receive([toEveryone('a')], true)).toEqual([])
    const [everyone, bob] = conversations.receive([toEveryone('b'), toAlice('p', 'bob'), toAlice('q', 'bob')], false)
    expect(everyone).toMatchObject({ key: 'everyone', unread: 1, firstUnread: 'b bob' })
    expect(bob).toMatchObject({ key: 'person bob', unread: 2, firstUnread: 'p bob' })
    expect(conversations.receive([toEveryone('own', ALICE)], false)).toEqual([])
  })

  it('have a maximum number, and keep the open one, those with unsent text and the one with everyone', () => {
    const conversations = new Conversations(ALICE)
    conversations.receive([toAlice('first', 'bob'), toAlice('second', 'carol')], true)
    conversations.open({ kind: 'person', userId: 'bob' })
    conversations.write({ kind: 'person', userId: 'carol' }, 'half a sen')
    conversations.addOwn({ ...toEveryone('mine', ALICE), audience: { kind: 'person', userId: 'dora' } })
    conversations.receive(many(3 * MAX_CONVERSATIONS, n => toAlice(`m${n}`, `person ${n}`)), true)
    expect(conversations.list).toHaveLength(MAX_CONVERSATIONS)
    expect(conversations.list.slice(0, 4).map(({ key }) => key)).toEqual(['everyone', 'person bob', 'person carol', 'person dora'])
    expect(conversations.current.key).toBe('person bob')
  })

  it('know a limited number of people', () => {
    const conversations = new Conversations(ALICE)
    conversations.receive(many(MAX_ENTRIES, n => toEveryone(`m${n}`, user(`person ${n}`))), true)
    const people = knownPeople(conversations.list, ALICE)
    expect(people).toHaveLength(MAX_KNOWN_PEOPLE)
    expect(people[0]).toBe(`person ${MAX_ENTRIES - 1}`)
  })
})
