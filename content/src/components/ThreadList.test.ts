import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Sender } from '../chat/message'
import { entryOf, mount, press, threadOf } from './testSupport'
import ThreadList from './ThreadList.vue'
import { threadPreview, unreadText } from './threadText'

afterEach(() => { document.body.replaceChildren() })

const everyone = threadOf({ kind: 'everyone' })
const room = (name: string, more = {}) => threadOf({ kind: 'room', room: name }, more)
const person = (userId: string, more = {}) => threadOf({ kind: 'person', userId }, more)
const show = (props: Record<string, unknown>) => mount(ThreadList, { threads: [everyone], current: everyone.key, signedIn: true, canEnterRooms: true, ...props })
const names = (root: HTMLElement) => [...root.querySelectorAll('bdi')].map(({ textContent }) => textContent)
const headings = (root: HTMLElement) => [...root.querySelectorAll('h2')].map(({ textContent }) => textContent)

describe('the list of conversations', () => {
  it('begins with everyone, then rooms, then people, the newest conversation first', () => {
    const threads = [person('ben', { latest: 1 }), room('old', { latest: 2 }), person('cy', { latest: 5 }), room('new', { latest: 3 }), everyone]
    expect(names(show({ threads }))).toEqual(['Everyone', '#new', '#old', 'cy', 'ben'])
  })

  it('sorts conversations without messages by name, after the others', () => {
    expect(names(show({ threads: [everyone, room('b'), room('a'), room('c', { latest: 1 })] }))).toEqual(['Everyone', '#c', '#a', '#b'])
  })

  it.each([
    [{}, ['Rooms', 'Private']],
    [{ canEnterRooms: false }, ['Private']],
    [{ canEnterRooms: false, threads: [everyone, room('games')] }, ['Rooms', 'Private']],
  ])('has a heading for rooms only if there can be rooms: %#', (props, expected) => {
    expect(headings(show(props))).toEqual(expected)
  })

  it('shows how much is unread, and says so to a screen reader', () => {
    const root = show({ threads: [everyone, room('games', { unread: 50, hasMoreUnread: true }), person('ben', { unread: 3 })] })
    expect([...root.querySelectorAll('.count')].map(({ textContent }) => textContent)).toEqual(['50+ unread', '3 unread'])
    expect(root.querySelector('.count.private')?.textContent).toBe('3 unread')
  })

  it('shows the sum in the heading of a long group, whose rows may be out of view', () => {
    const people = Array.from({ length: 8 }, (_, at) => person(`person ${at}`, { unread: at === 7 ? 2 : 0 }))
    expect(show({ threads: [everyone, ...people] }).querySelector('.heading .count')?.textContent).toBe('2 unread in private')
    expect(show({ threads: [everyone, person('ben', { unread: 2 })] }).querySelector('.heading .count')).toBeNull()
  })

  it('emits what is opened', async () => {
    const handlers = { onOpen: vi.fn(), 'onNew-private': vi.fn(), 'onEnter-room': vi.fn() }
    const root = show({ threads: [everyone, room('games')], ...handlers })
    root.querySelector<HTMLButtonElement>('.room')?.click()
    await press(root, 'New private message')
    await press(root, 'Enter a room')
    expect(handlers.onOpen).toHaveBeenCalledExactlyOnceWith({ kind: 'room', room: 'games' })
    expect(handlers['onNew-private']).toHaveBeenCalledOnce()
    expect(handlers['onEnter-room']).toHaveBeenCalledOnce()
  })

  it('offers no private messages to a guest', () => {
    const root = show({ signedIn: false })
    expect(root.querySelector('[aria-label="New private message"]')).toBeNull()
    expect(root.textContent).toContain('Sign in to send private messages.')
  })

  it('marks the open conversation', () => {
    const root = show({ threads: [everyone, person('ben')], current: person('ben').key })
    expect(root.querySelector('[aria-current="true"]')?.textContent).toContain('Private with ben')
  })
})

describe('the line below a name', () => {
  const from = (sender: Sender) => entryOf('a', { message: { ...entryOf('a').message, sender } })

  it.each([
    ['nothing', {}, ''],
    ['the last message', { entries: [entryOf('a'), entryOf('b')] }, 'ben: b'],
    ['the last message before a gap', { entries: [entryOf('a'), { kind: 'gap', key: 'g', from: new Date(0), until: new Date(0) }] }, 'ben: a'],
    ['of an address only the name', { entries: [from({ kind: 'user', userId: 'ben@contoso.com' })] }, 'ben: a'],
    ['that a guest wrote it', { entries: [from({ kind: 'guest', nickname: 'ben@contoso.com' })] }, 'ben@contoso.com (guest): a'],
    ['an own message', { entries: [entryOf('a', { delivery: { kind: 'sent' } })] }, 'You: a'],
    ['a removed message', { entries: [entryOf('a', { message: { ...entryOf('').message, isRemoved: true } })] }, 'Message removed'],
    ['a draft', { entries: [entryOf('a')], typed: 'I will' }, 'Draft: I will'],
    ['no more than fits', { entries: [entryOf('😀'.repeat(4096))] }, `ben: ${'😀'.repeat(80)}`],
  ] as const)('shows %s', (_, more, text) => {
    expect(threadPreview(threadOf({ kind: 'everyone' }, more))).toBe(text)
  })
})

describe('a number of unread messages', () => {
  it.each([[3, false, '3'], [50, true, '50+'], [999, false, '999'], [1000, false, '999+']])('%i, and more: %s, is %s', (unread, more, text) => {
    expect(unreadText(unread, more)).toBe(text)
  })
})
