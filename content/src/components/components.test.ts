import { afterEach, describe, expect, it, vi } from 'vitest'
import { createApp, h } from 'vue'
import type { Component } from 'vue'
import type { MessageEntry } from '../chat/conversations'
import MessageComposer from './MessageComposer.vue'
import MessageItem from './MessageItem.vue'

function mount(component: Component, props: Record<string, unknown>): HTMLElement {
  const root = document.createElement('div')
  document.body.append(root)
  createApp({ render: () => h(component, props) }).mount(root)
  return root
}

afterEach(() => { document.body.replaceChildren() })

describe('the composer', () => {
  const press = (init: KeyboardEventInit) => {
    const onSend = vi.fn()
    const root = mount(MessageComposer, { audience: { kind: 'everyone' }, typed: 'hi', error: '', onSend })
    const event = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init })
    root.querySelector('textarea')?.dispatchEvent(event)
    return { onSend, event }
  }

  it('sends on Enter', () => {
    const { onSend, event } = press({})
    expect(onSend).toHaveBeenCalledOnce()
    expect(event.defaultPrevented).toBe(true)
  })

  it('starts a new line on Shift+Enter', () => {
    const { onSend, event } = press({ shiftKey: true })
    expect(onSend).not.toHaveBeenCalled()
    expect(event.defaultPrevented).toBe(false)
  })

  it.each([{ isComposing: true }, { keyCode: 229 }])('ignores Enter during an IME composition: %j', (composing) => {
    expect(press(composing).onSend).not.toHaveBeenCalled()
  })

  it('cannot send white space', () => {
    const root = mount(MessageComposer, { audience: { kind: 'everyone' }, typed: ' \n ', error: '' })
    expect(root.querySelector('button')?.disabled).toBe(true)
  })

  it('counts the code points left near the limit', () => {
    const root = mount(MessageComposer, { audience: { kind: 'everyone' }, typed: '😀'.repeat(4000), error: '' })
    expect(root.textContent).toContain('96 characters left')
  })
})

describe('a message', () => {
  const entry: MessageEntry = {
    kind: 'message',
    key: 'k',
    delivery: undefined,
    message: { id: 'k', sender: { kind: 'user', userId: 'bob' }, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(0) },
  }
  const show = (change: Partial<MessageEntry['message']>, delivery?: MessageEntry['delivery']) =>
    mount(MessageItem, { entry: { ...entry, delivery, message: { ...entry.message, ...change } }, sameSender: false, time: '09:00', canWritePrivately: true })

  it('is shown as text, even if it contains markup', () => {
    const root = show({ text: '<img src=x onerror=alert(1)> https://example.com <b>b</b>' })
    expect(root.querySelector('img, b')).toBeNull()
    expect(root.querySelector('a')?.rel).toBe('noopener noreferrer')
    expect(root.textContent).toContain('<img src=x onerror=alert(1)>')
  })

  it('marks a guest as not verified, and offers no private conversation', () => {
    const root = show({ sender: { kind: 'guest', nickname: 'bob' } })
    expect(root.textContent).toContain('not verified')
    expect(root.querySelector('button')).toBeNull()
  })

  it('is marked as private', () => {
    expect(show({ audience: { kind: 'person', userId: 'me' } }).textContent).toContain('private, only you see this')
  })

  it('isolates names and text in right-to-left scripts', () => {
    const root = show({ text: 'שלום' })
    expect(root.querySelector('bdi')?.textContent).toBe('bob')
    expect(root.querySelector('p')?.dir).toBe('auto')
  })

  it.each([
    [{ kind: 'unsent', reason: 'away.', next: 'automatic-retry' }, ['Try again', 'Edit']],
    [{ kind: 'unsent', reason: 'no.', next: 'edit' }, ['Edit']],
    [{ kind: 'sent' }, []],
  ] as const)('offers the actions for the delivery %j', (delivery, actions) => {
    expect([...show({}, delivery).querySelectorAll('button')].map(({ textContent }) => textContent)).toEqual(actions)
  })
})
