import { afterEach, describe, expect, it, vi } from 'vitest'
import ConnectionNotice from './ConnectionNotice.vue'
import ConnectionStatus from './ConnectionStatus.vue'
import { buttonsOf, mount, press } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

describe('the notice about the connection', () => {
  it.each([
    [{}, 'Offline. You can keep writing.', []],
    [{ retryAt: Date.now() + 60_000, action: 'retry-now' }, 'Offline. You can keep writing. Trying again in 60\u00a0s.', ['Retry now']],
    [{ retryAt: 0 }, 'Offline. You can keep writing. Trying again now.', []],
    [{ action: 'sign-in' }, 'Offline. You can keep writing.', ['Sign in again']],
  ])('says what is wrong and what can be done: %j', (more, text, actions) => {
    const root = mount(ConnectionNotice, { notice: { title: 'Offline', text: 'You can keep writing.', ...more }, signedIn: true })
    expect(root.querySelector('p')?.textContent.trim()).toBe(text)
    expect([...root.querySelectorAll('button')].map(({ textContent }) => textContent)).toEqual(actions)
  })

  it('interrupts a screen reader only for what the person has to do', () => {
    const roleWith = (action: string) => mount(ConnectionNotice, { notice: { title: 'T', text: '', action }, signedIn: true }).querySelector('[role]')?.getAttribute('role')
    expect([roleWith('sign-in'), roleWith('retry-now')]).toEqual(['alert', 'status'])
  })

  it('does not ask a guest to sign in again', async () => {
    const onSignIn = vi.fn()
    const root = mount(ConnectionNotice, { notice: { title: 'Please sign in', text: '', action: 'sign-in' }, signedIn: false, 'onSign-in': onSignIn })
    expect(buttonsOf(root, 'Sign in again')).toEqual([])
    await press(root, 'Sign in')
    expect(onSignIn).toHaveBeenCalledOnce()
  })

  it('adds no full stop to a title that ends with a mark', () => {
    expect(mount(ConnectionNotice, { notice: { title: 'Connecting…', text: '' }, signedIn: true }).querySelector('strong')?.textContent).toBe('Connecting…')
  })
})

describe('the status of the connection', () => {
  it('is in words, and announced', () => {
    const status = mount(ConnectionStatus, { status: { tone: 'waiting', label: 'Reconnecting…' } }).querySelector('[role="status"]')
    expect([status?.getAttribute('aria-label'), status?.textContent]).toEqual(['Connection', 'Reconnecting…'])
  })
})
