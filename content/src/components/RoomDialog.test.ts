import { afterEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import RoomDialog from './RoomDialog.vue'
import { mountExposed, press, type } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

async function open(props: Record<string, unknown> = {}) {
  const onEnter = vi.fn()
  const { root, exposed } = mountExposed<{ open(): void }>(RoomDialog, { rooms: { kind: 'known', rooms: ['games', 'music'] }, canCreate: true, onEnter, ...props })
  exposed.open()
  await nextTick()
  const enter = async (name: string) => {
    await type(root, name)
    root.querySelector('form')?.dispatchEvent(new Event('submit'))
    await nextTick()
  }
  return { root, onEnter, enter, rooms: () => [...root.querySelectorAll('li bdi')].map(({ textContent }) => textContent) }
}

describe('the dialog to enter a room', () => {
  it('offers the rooms that there are, and those that contain what is typed', async () => {
    const { root, onEnter, rooms } = await open()
    expect(rooms()).toEqual(['#games', '#music'])
    await type(root, 'MU')
    expect(rooms()).toEqual(['#music'])
    root.querySelector<HTMLButtonElement>('li button')?.click()
    expect(onEnter).toHaveBeenCalledExactlyOnceWith('music')
    expect(root.querySelector('dialog')?.open).toBe(false)
  })

  it.each([['  Games ', 'games'], ['#chess', 'chess'], ['a-b_9', 'a-b_9'], ['x'.repeat(64), 'x'.repeat(64)]])('enters %j as %s', async (name, room) => {
    const { onEnter, enter } = await open()
    await enter(name)
    expect(onEnter).toHaveBeenCalledExactlyOnceWith(room)
  })

  it.each([
    ['', 'Please write the name of a room.'],
    ['Everyone', '“everyone” is no room'],
    ['two words', 'only the letters a to z, digits, - and _'],
    ['größe', 'only the letters a to z'],
    ['x'.repeat(65), 'At most 64 characters'],
  ])('says what is wrong with the name %j', async (name, text) => {
    const { root, onEnter, enter } = await open()
    await enter(name)
    expect(root.querySelector('#room-hint')?.textContent).toContain(text)
    expect(onEnter).not.toHaveBeenCalled()
    await type(root, 'games')
    expect(root.querySelector('#room-hint')?.textContent).not.toContain(text)
  })

  it('has no field where no other room can be entered', async () => {
    const { root, rooms } = await open({ canCreate: false })
    expect(root.querySelector('input')).toBeNull()
    expect(rooms()).toEqual(['#games', '#music'])
    expect((await open({ canCreate: false, rooms: { kind: 'known', rooms: [] } })).root.textContent).toContain('There is no other room.')
  })

  it('can enter a room by its name while the list cannot be shown', async () => {
    const onRetry = vi.fn()
    const { root, onEnter, enter } = await open({ rooms: { kind: 'failed', reason: 'the chat cannot be reached.' }, onRetry })
    expect(root.textContent).toContain('The rooms cannot be shown: the chat cannot be reached.')
    await press(root, 'Try again')
    expect(onRetry).toHaveBeenCalledOnce()
    await enter('games')
    expect(onEnter).toHaveBeenCalledOnce()
  })
})
