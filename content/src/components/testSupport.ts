// Support of the component tests: components in a document, and threads to show.
import { createApp, h, nextTick, ref } from 'vue'
import type { Component } from 'vue'
import type { Audience } from '../chat/message'
import type { MessageEntry, Thread } from '../chat/thread'

/** Mounts a component in the document. */
export function mount(component: Component, props: Record<string, unknown> = {}, slots: Record<string, () => unknown> = {}): HTMLElement {
  const root = document.createElement('div')
  document.body.append(root)
  createApp({ render: () => h(component, props, slots) }).mount(root)
  return root
}

/** Mounts a component that exposes functions, and returns them too. */
export function mountExposed<Exposed>(component: Component, props: Record<string, unknown> = {}) {
  const exposed = ref<Exposed>()
  const root = mount({ render: () => h(component, { ...props, ref: exposed }) })
  if (exposed.value === undefined) throw new Error('the component exposes nothing')
  return { root, exposed: exposed.value }
}

/** The buttons with this text or label. */
export function buttonsOf(root: HTMLElement, name: string): HTMLButtonElement[] {
  return [...root.querySelectorAll('button')].filter(button => [button.textContent.trim(), button.getAttribute('aria-label')].includes(name))
}

export async function press(root: HTMLElement, name: string): Promise<void> {
  const [button] = buttonsOf(root, name)
  if (button === undefined) throw new Error(`there is no button ${name} in: ${root.textContent}`)
  button.click()
  await nextTick()
}

export async function type(root: HTMLElement, text: string): Promise<void> {
  const input = root.querySelector('input')
  if (input === null) throw new Error('there is no field')
  input.value = text
  input.dispatchEvent(new Event('input'))
  await nextTick()
}

export function entryOf(text: string, more: Partial<MessageEntry> = {}): MessageEntry {
  const message = { id: text, sender: { kind: 'user', userId: 'ben' }, audience: { kind: 'everyone' }, text, sentAt: new Date(0) } as const
  return { kind: 'message', key: text, delivery: undefined, message, ...more }
}

export function threadOf(audience: Audience, more: Partial<Thread> = {}): Thread {
  return {
    key: JSON.stringify(audience), audience, entries: [], older: { kind: 'beginning' }, typed: '', unread: 0, hasMoreUnread: false,
    firstUnread: undefined, arrived: 0, latest: 0, ...more,
  }
}
