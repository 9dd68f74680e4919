import { afterEach, describe, expect, it, vi } from 'vitest'
import { createApp, h } from 'vue'
import type { Component } from 'vue'
import type { MessageEntry } from '../chat/thread'
import { groupMessages } from './groupMessages'
import MessageItem from './MessageItem.vue'
import UserAvatar from './UserAvatar.vue'

function mount(component: Component, props: Record<string, unknown>): HTMLElement {
  const root = document.createElement('div')
  document.body.append(root)
  createApp({ render: () => h(component, props) }).mount(root)
  return root
}

afterEach(() => { document.body.replaceChildren() })

const entry: MessageEntry = {
  kind: 'message',
  key: 'k',
  delivery: undefined,
  message: {
    id: 'k', sender: { kind: 'user', userId: 'bob' }, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(0),
    place: { at: '00000001.0000000010', next: '00000001.0000000020' },
  },
}

function show(change: Partial<MessageEntry['message']>, delivery?: MessageEntry['delivery'], props: Record<string, unknown> = {}) {
  const row = groupMessages([{ ...entry, delivery, message: { ...entry.message, ...change } }], { start: 0, end: 1 }, undefined, new Date(0))[1]
  return mount(MessageItem, { row, canWritePrivately: true, canRemove: false, keepsHistory: true, ...props })
}

describe('a message', () => {
  it('is shown as text, even if it contains markup', () => {
    const root = show({ text: '<img src=x onerror=alert(1)> https://example.com <b>b</b>' })
    expect(root.querySelector('img, b')).toBeNull()
    expect(root.querySelector('a')?.rel).toBe('noopener noreferrer')
    expect(root.textContent).toContain('<img src=x onerror=alert(1)>')
  })

  it('marks a guest as not verified, and offers no private thread', () => {
    const root = show({ sender: { kind: 'guest', nickname: 'bob' } })
    expect(root.textContent).toContain('bobguest, not verified')
    expect(root.querySelector('button')).toBeNull()
  })

  it('marks a guest without a name', () => {
    expect(show({ sender: { kind: 'guest', nickname: undefined } }).textContent).toContain('Guestguest, not verified')
  })

  it('does not mark a user whose name says guest', () => {
    expect(show({ sender: { kind: 'user', userId: 'Zed (guest)' } }).textContent).not.toContain('not verified')
  })

  it('says when the recipient of a private message gets it who is not online', () => {
    const audience = { kind: 'person', userId: 'bob' } as const
    const text = (recipientOnline: boolean | undefined, keepsHistory: boolean) => show({ audience }, { kind: 'sent', recipientOnline }, { keepsHistory }).textContent
    expect(text(false, true)).toContain('bob is not online and will see it later.')
    expect(text(false, false)).toContain('bob is not online and may not get this.')
    for (const recipientOnline of [true, undefined]) expect(text(recipientOnline, true)).not.toContain('online')
  })

  it('is marked as private, and does not say that only one person sees it', () => {
    const root = show({ audience: { kind: 'person', userId: 'me' } })
    expect(root.querySelector('.message')?.classList).toContain('private')
    expect(root.textContent).not.toContain('only you')
  })

  it('isolates names and text in right-to-left scripts', () => {
    const root = show({ text: 'שלום' })
    expect(root.querySelector('bdi')?.textContent).toBe('bob')
    expect(root.querySelector('p')?.dir).toBe('auto')
  })

  it.each([
    [{ kind: 'unsent', reason: 'away.', next: 'automatic-retry' }, ['Try again', 'Edit']],
    [{ kind: 'unsent', reason: 'no.', next: 'edit' }, ['Edit']],
    [{ kind: 'paused' }, ['Edit']],
    [{ kind: 'sent' }, []],
  ] as const)('offers the actions for the delivery %j', (delivery, actions) => {
    expect([...show({}, delivery).querySelectorAll('button')].map(({ textContent }) => textContent)).toEqual(actions)
  })

  it.each([
    [{ kind: 'paused' }, false],
    [{ kind: 'unsent', reason: 'Offline.', next: 'automatic-retry' }, false],
    [{ kind: 'unsent', reason: 'no.', next: 'manual-retry' }, true],
    [{ kind: 'unsent', reason: 'no.', next: 'edit' }, true],
  ] as const)('is red only if it does not go out by itself: %j is %s', (delivery, isRed) => {
    expect(show({}, delivery).querySelector('.failed') !== null).toBe(isRed)
  })

  it('that was removed says so, and offers nothing', () => {
    for (const delivery of [undefined, { kind: 'sent' } as const]) {
      const root = show({ text: '', isRemoved: true, sender: { kind: 'user', userId: 'me' } }, delivery, { canRemove: true, canWritePrivately: false })
      expect(root.textContent).toContain('Message removed')
      expect(root.querySelector('button')).toBeNull()
    }
  })
})

describe('the button that removes a message', () => {
  const button = (root: HTMLElement) => root.querySelector<HTMLButtonElement>('[aria-label="Remove message"]')
  const sent = { kind: 'sent' } as const

  it('is at own messages in the history, if they can be removed', () => {
    const onRemove = vi.fn()
    button(show({}, sent, { canRemove: true, onRemove }))?.click()
    expect(onRemove).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ key: 'k' }))
  })

  it.each([
    ['messages of others', {}, undefined, true],
    ['messages that are not sent yet', {}, { kind: 'sending' }, true],
    ['messages that are not in the history', { place: undefined }, sent, true],
    ['messages of a thread in which none can be removed', {}, sent, false],
  ] as const)('is not at %s', (_, change, delivery, canRemove) => {
    expect(button(show(change, delivery, { canRemove }))).toBeNull()
  })
})

describe('a message in a group', () => {
  const rows = (delivery: MessageEntry['delivery']) => groupMessages([1, 2].map(id => ({ ...entry, delivery, key: `k${id}`, message: { ...entry.message, id: `k${id}` } })), { start: 0, end: 2 }, undefined, new Date(0))
  const item = (row: unknown) => mount(MessageItem, { row, canWritePrivately: true, canRemove: true, keepsHistory: true })

  it('has its name and avatar only at the start, and its time everywhere', () => {
    const [, first, second] = rows(undefined).map(row => (row.kind === 'message' ? item(row) : undefined))
    expect([first?.querySelector('.avatar'), second?.querySelector('.avatar')]).toEqual([expect.anything(), null])
    expect(second?.querySelector('.visually-hidden')?.textContent).toBe('bob')
    for (const root of [first, second]) expect(root?.querySelector('time')?.dateTime).toBe('1970-01-01T00:00:00.000Z')
  })

  it('has a status only at the end, if it is sent', () => {
    const isAside = (delivery: MessageEntry['delivery']) => rows(delivery).flatMap(row => (row.kind === 'message' ? item(row).querySelector('.aside') !== null : []))
    expect(isAside({ kind: 'sent' })).toEqual([true, false])
    expect(isAside({ kind: 'unsent', reason: 'no.', next: 'edit' })).toEqual([false, false])
  })
})

describe('an avatar', () => {
  it('does not show all marks of a letter', () => {
    expect(mount(UserAvatar, { name: `z${'\u0301'.repeat(4095)}`, kind: 'guest' }).textContent).toBe(`Z${'\u0301'.repeat(7)}`)
  })
})
