import { afterEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import { buttonsOf, mount, press } from './testSupport'
import ThreadHeader from './ThreadHeader.vue'

afterEach(() => { document.body.replaceChildren() })

const room = { kind: 'room', room: 'games' }
const person = { kind: 'person', userId: 'ben' }
const show = (props: Record<string, unknown>) => mount(ThreadHeader, {
  audience: { kind: 'everyone' }, canShowMembers: true, areMembersShown: false, canErase: true, keepsHistory: true, link: undefined, ...props,
})
const openMenu = async (props: Record<string, unknown>) => {
  const root = show(props)
  await press(root, 'More actions')
  await nextTick()
  return root
}
const items = (root: HTMLElement) => [...root.querySelectorAll('[role="menuitem"]')].map(({ textContent }) => textContent)
const key = async (name: string) => {
  document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }))
  await nextTick()
}

describe('the header of a thread', () => {
  it.each([
    [{}, 'Everyone', 'Public: everyone who may chat can read this.'],
    [{ audience: room }, '#games', 'Public: everyone who may enter this room can read it.'],
    [{ audience: person }, 'ben', 'Private: you and ben.'],
    [{ keepsHistory: false }, 'Everyone', 'Public: everyone who may chat can read this. Messages are not kept here.'],
  ])('says in words who can read it: %j', (props, name, text) => {
    const root = show(props)
    expect(root.querySelector('h1')?.textContent).toBe(name)
    expect(root.querySelector('.long')?.textContent).toBe(text)
  })

  it('says in few words on a phone what is private and what is not kept', () => {
    expect(show({ audience: person, keepsHistory: false }).querySelector('.short')?.textContent).toBe('Private: you and ben · messages are not kept')
    expect(show({}).querySelector('.short')?.textContent).toBe('Public')
  })

  it.each([
    [{ audience: room, link: 'https://chat.example/#room=games' }, ['Copy link to this room', 'Leave this room']],
    [{ audience: person }, ['Erase all my private messages…']],
  ])('offers what can be done: %j', async (props, expected) => {
    expect(items(await openMenu(props))).toEqual(expected)
  })

  it.each([[{}], [{ audience: person, canErase: false }]])('has no menu if there is nothing to do: %j', (props) => {
    expect(buttonsOf(show(props), 'More actions')).toEqual([])
  })

  it('emits what is chosen', async () => {
    const handlers = { onErase: vi.fn(), 'onLeave-room': vi.fn(), 'onToggle-members': vi.fn() }
    await press(await openMenu({ audience: person, ...handlers }), 'Erase all my private messages…')
    await press(await openMenu({ audience: room, ...handlers }), 'Leave this room')
    await press(show(handlers), 'Who is here')
    for (const handler of Object.values(handlers)) expect(handler).toHaveBeenCalledOnce()
  })

  it('says whether the people are shown', () => {
    expect(buttonsOf(show({ areMembersShown: true }), 'Who is here')[0]?.getAttribute('aria-expanded')).toBe('true')
    expect(buttonsOf(show({ canShowMembers: false }), 'Who is here')).toEqual([])
  })

  it('copies the link, or says that this is not allowed', async () => {
    const copied: string[] = []
    const write = vi.spyOn(navigator.clipboard, 'writeText').mockImplementation((text) => {
      copied.push(text)
      return Promise.resolve()
    })
    const link = 'https://chat.example/#room=games'
    const root = await openMenu({ audience: room, link })
    await press(root, 'Copy link to this room')
    await vi.waitFor(() => { expect(root.querySelector('[role="status"]')?.textContent).toBe('Link copied') })
    expect(copied).toEqual([link])
    write.mockRejectedValue(new DOMException('no', 'NotAllowedError'))
    await press(root, 'More actions')
    await press(root, 'Copy link to this room')
    await vi.waitFor(() => { expect(root.textContent).toContain('The browser did not allow copying') })
  })
})

describe('the menu of actions', () => {
  it('works with the keyboard', async () => {
    const root = await openMenu({ audience: room, link: 'https://chat.example/#room=games' })
    const focused = [document.activeElement?.textContent]
    for (const name of ['ArrowDown', 'ArrowDown', 'ArrowUp', 'Home', 'End']) {
      await key(name)
      focused.push(document.activeElement?.textContent)
    }
    const [copy, leave] = ['Copy link to this room', 'Leave this room']
    expect(focused).toEqual([copy, leave, copy, leave, copy, leave])
    await key('Escape')
    expect(root.querySelector('[role="menu"]')).toBeNull()
    expect(document.activeElement).toBe(buttonsOf(root, 'More actions')[0])
  })

  it('closes when something else is pressed', async () => {
    const root = await openMenu({ audience: room })
    document.body.dispatchEvent(new Event('pointerdown', { bubbles: true }))
    await nextTick()
    expect(root.querySelector('[role="menu"]')).toBeNull()
  })
})
