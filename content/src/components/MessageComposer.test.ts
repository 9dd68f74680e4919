import { afterEach, describe, expect, it, vi } from 'vitest'
import MessageComposer from './MessageComposer.vue'
import { mount } from './testSupport'

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

  it.each([
    [{ kind: 'everyone' }, 'Message to everyone', ''],
    [{ kind: 'room', room: 'games' }, 'Message to #games', ''],
    [{ kind: 'person', userId: 'ben' }, 'Private message to ben', 'Private, to ben'],
  ])('says who gets the message: %j', (audience, name, text) => {
    const root = mount(MessageComposer, { audience, typed: 'hi', error: '' })
    expect(root.querySelector('textarea')?.getAttribute('aria-label')).toBe(name)
    expect(root.querySelector('form > p')?.textContent.trim()).toBe(text)
  })
})
