import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { h, nextTick } from 'vue'
import ChatLayout from './ChatLayout.vue'
import { buttonsOf, mount, threadOf } from './testSupport'

let width = 0
beforeEach(() => {
  vi.stubGlobal('matchMedia', (query: string) => Object.assign(new EventTarget(), { matches: width <= Number(/\d+/.exec(query)?.[0]) }))
})
afterEach(() => { document.body.replaceChildren() })

const everyone = threadOf({ kind: 'everyone' }, { unread: 9 })
const threads = [
  everyone,
  threadOf({ kind: 'room', room: 'games' }, { unread: 50, hasMoreUnread: true }),
  threadOf({ kind: 'room', room: 'music' }, { unread: 2 }),
  threadOf({ kind: 'person', userId: 'ben' }, { unread: 3 }),
]
const show = (at: number, props: Record<string, unknown> = {}) => {
  width = at
  const root = mount(ChatLayout, { threads, current: everyone.key, areMembersShown: false, ...props }, {
    sidebar: () => h('p', 'the list'), members: () => h('p', 'the people'), default: () => h('p', 'the messages'),
  })
  const menu = root.querySelector<HTMLButtonElement>('.menu')
  return { root, menu, drawer: () => root.querySelector<HTMLDialogElement>('dialog.start') }
}

describe('the layout', () => {
  it('shows the sidebar beside the messages on a wide screen', () => {
    const { root, menu } = show(1280)
    expect(root.querySelector('.column')?.textContent).toBe('the list')
    expect(menu).toBeNull()
  })

  it('has on a phone a button with what is unread in the other threads, private messages first', () => {
    expect(show(390).menu?.textContent).toBe('Conversations3 unread in private52+ unread')
    expect(show(390, { threads: [everyone] }).menu?.textContent).toBe('Conversations')
  })

  it('opens the sidebar on a phone, and closes it with Escape, its button or a tap outside', async () => {
    const { root, menu, drawer } = show(390)
    const closings = [
      () => drawer()?.close(),
      () => buttonsOf(root, 'Close conversations')[0]?.click(),
      () => drawer()?.dispatchEvent(new Event('click')),
    ]
    for (const close of closings) {
      menu?.click()
      await nextTick()
      await nextTick()
      expect(drawer()?.open).toBe(true)
      close()
      await nextTick()
      await nextTick()
      expect([drawer()?.open, menu?.getAttribute('aria-expanded')]).toEqual([false, 'false'])
    }
  })

  it('stays open when something in the sidebar is pressed', async () => {
    const { menu, drawer } = show(390)
    menu?.click()
    await nextTick()
    drawer()?.querySelector('p')?.click()
    await nextTick()
    expect(drawer()?.open).toBe(true)
  })

  it('shows who is here beside the messages, or over them on a narrow screen', async () => {
    expect(show(1280, { areMembersShown: true }).root.querySelector('.column.end')?.textContent).toBe('the people')
    const onCloseMembers = vi.fn()
    const { root } = show(900, { areMembersShown: true, 'onClose-members': onCloseMembers })
    await nextTick()
    const dialog = root.querySelector<HTMLDialogElement>('dialog.end')
    expect(dialog?.open).toBe(true)
    dialog?.close()
    expect(onCloseMembers).toHaveBeenCalledOnce()
  })
})
