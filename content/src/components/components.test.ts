import { afterEach, describe, expect, it, vi } from 'vitest'
import { createApp, h } from 'vue'
import type { Component } from 'vue'
import type { Said } from '../chat/conversations'
import MessageComposer from './MessageComposer.vue'
import MessageItem from './MessageItem.vue'

function mount(component: Component, props: Record<string, unknown>): HTMLElement {
  const place = document.createElement('div')
  document.body.append(place)
  createApp({ render: () => h(component, props) }).mount(place)
  return place
}

afterEach(() => { document.body.replaceChildren() })

describe('the composer', () => {
  const press = (init: KeyboardEventInit) => {
    const onSend = vi.fn()
    const place = mount(MessageComposer, { audience: { kind: 'everyone' }, typed: 'hi', refusal: '', onSend })
    const event = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init })
    place.querySelector('textarea')?.dispatchEvent(event)
    return { onSend, event }
  }

  it('sends on Enter', () => {
    const { onSend, event } = press({})
    expect(onSend).toHaveBeenCalledOnce()
    expect(event.defaultPrevented).toBe(true)
  })

  it('begins a new line on Shift+Enter', () => {
    const { onSend, event } = press({ shiftKey: true })
    expect(onSend).not.toHaveBeenCalled()
    expect(event.defaultPrevented).toBe(false)
  })

  it.each([{ isComposing: true }, { keyCode: 229 }])('leaves Enter to an input method that composes: %j', (composing) => {
    expect(press(composing).onSend).not.toHaveBeenCalled()
  })

  it('has nothing to send when there is only white space', () => {
    const place = mount(MessageComposer, { audience: { kind: 'everyone' }, typed: ' \n ', refusal: '' })
    expect(place.querySelector('button')?.disabled).toBe(true)
  })

  it('counts when the end is near, in code points', () => {
    const place = mount(MessageComposer, { audience: { kind: 'everyone' }, typed: '😀'.repeat(4000), refusal: '' })
    expect(place.textContent).toContain('96 left')
  })
})

describe('a message', () => {
  const said: Said = {
    kind: 'said',
    key: 'k',
    delivery: undefined,
    message: { id: 'k', sender: { kind: 'user', userId: 'bob' }, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(0) },
  }
  const show = (change: Partial<Said['message']>, delivery?: Said['delivery']) =>
    mount(MessageItem, { said: { ...said, delivery, message: { ...said.message, ...change } }, follows: false, time: '09:00', canWritePrivately: true })

  it('is text, whatever it looks like', () => {
    const place = show({ text: '<img src=x onerror=alert(1)> https://example.com <b>b</b>' })
    expect(place.querySelector('img, b')).toBeNull()
    expect(place.querySelector('a')?.rel).toBe('noopener noreferrer')
    expect(place.textContent).toContain('<img src=x onerror=alert(1)>')
  })

  it('says that nobody verified a guest, and offers no thread with one', () => {
    const place = show({ sender: { kind: 'guest', nickname: 'bob' } })
    expect(place.textContent).toContain('not verified')
    expect(place.querySelector('button')).toBeNull()
  })

  it('says that it is private', () => {
    expect(show({ audience: { kind: 'person', userId: 'me' } }).textContent).toContain('private, only you see this')
  })

  it('isolates names and words that may run the other way', () => {
    const place = show({ text: 'שלום' })
    expect(place.querySelector('bdi')?.textContent).toBe('bob')
    expect(place.querySelector('p')?.dir).toBe('auto')
  })

  it.each([
    [{ kind: 'unsent', why: 'away.', next: 'soon' }, ['Try again', 'Edit']],
    [{ kind: 'unsent', why: 'no.', next: 'change' }, ['Edit']],
    [{ kind: 'sent' }, []],
  ] as const)('offers what helps when it is %j', (delivery, offers) => {
    expect([...show({}, delivery).querySelectorAll('button')].map(({ textContent }) => textContent)).toEqual(offers)
  })
})
