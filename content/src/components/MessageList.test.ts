// What needs no layout, which happy-dom does not have.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createApp, h, nextTick, shallowReactive } from 'vue'
import type { Entry, HoleEntry, MessageEntry, Older } from '../chat/thread'
import MessageList from './MessageList.vue'

const message = (at: number): MessageEntry => ({
  kind: 'message', key: `m${at}`, delivery: undefined,
  message: { id: `m${at}`, sender: { kind: 'user', userId: 'ben' }, audience: { kind: 'everyone' }, text: `number ${at}.`, sentAt: new Date(2026, 10, 27, 9, 0, 0, at) },
})
const messages = (from: number, until: number) => Array.from({ length: until - from }, (_, at) => message(from + at))
const hole = (state: HoleEntry['state']): HoleEntry => ({ kind: 'hole', key: 'hole', from: '1', until: '2', state })

interface Props {
  entries: readonly Entry[]
  older: Older
  unread: number
  hasMoreUnread: boolean
  firstUnread: string | undefined
}

/** `height`: of all rows, of which 600 px are in view. */
function mount(change: Partial<Props> = {}, height = 600) {
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(600)
  vi.spyOn(HTMLElement.prototype, 'scrollHeight', 'get').mockReturnValue(height)
  const events = { loadOlder: vi.fn(), loadHole: vi.fn(), write: vi.fn() }
  const props = shallowReactive<Props>({ entries: [], older: { kind: 'beginning' }, unread: 0, hasMoreUnread: false, firstUnread: undefined, ...change })
  const root = document.createElement('div')
  document.body.append(root)
  createApp({
    render: () => h(MessageList, {
      'entries': props.entries, 'older': props.older, 'unread': props.unread, 'hasMoreUnread': props.hasMoreUnread, 'firstUnread': props.firstUnread, 'audience': { kind: 'everyone' }, 'arrived': 0, 'canWritePrivately': true, 'canRemove': true, 'keepsHistory': true,
      'emptyText': { title: 'No messages yet.', text: 'Say hello.' }, 'onLoad-older': events.loadOlder, 'onLoad-hole': events.loadHole, 'onWrite': events.write,
    }),
  }).mount(root)
  return { root, props, ...events, rows: () => root.querySelectorAll('li').length, button: () => [...root.querySelectorAll('button')].find(({ textContent }) => textContent === 'Try again') }
}

afterEach(() => { document.body.replaceChildren() })

it('an empty list says why', () => {
  expect(mount().root.textContent).toContain('No messages yet.Say hello.')
})

it('a list that follows its end shows the last message, however many there are', async () => {
  const { root, props, rows } = mount({ entries: messages(0, 450) }, 20_000)
  // Around the size of the window, and far beyond it.
  for (const count of [451, 499, 500, 501, 550, 1000, 3000]) {
    props.entries = messages(0, count)
    await nextTick()
    expect(root.querySelector('li:last-child')?.textContent).toContain(`number ${count - 1}.`)
    expect(rows()).toBeLessThanOrEqual(401)
  }
})

describe('the start of the list', () => {
  it.each([
    [{ kind: 'beginning' }, 'This is the beginning of the messages to everyone.'],
    [{ kind: 'lost' }, 'Older messages are no longer kept.'],
    [{ kind: 'more', state: 'loading' }, 'Loading older messages…'],
    [{ kind: 'more', state: 'failed' }, 'Older messages could not be loaded. Try again'],
    [{ kind: 'none' }, 'You see what was written here while this page was open.'],
  ] as const)('says what is before it: %j', (older, text) => {
    expect(mount({ entries: messages(0, 3), older }).root.querySelector('.older')?.textContent).toBe(text)
  })

  it('loads with a button what could not be loaded at first', () => {
    const { root, loadOlder, button } = mount({ older: { kind: 'more', state: 'failed' } })
    expect(root.querySelectorAll('button')).toHaveLength(1)
    button()?.click()
    expect(loadOlder).toHaveBeenCalledTimes(1)
  })

  it('asks for older messages when it is near, once until the answer', async () => {
    const { props, loadOlder } = mount({ entries: messages(100, 110), older: { kind: 'more', state: 'idle' } })
    await nextTick()
    props.entries = messages(100, 111)
    await nextTick()
    expect(loadOlder).toHaveBeenCalledOnce()
    props.older = { kind: 'more', state: 'loading' }
    await nextTick()
    expect(loadOlder).toHaveBeenCalledOnce()
    props.older = { kind: 'more', state: 'idle' }
    props.entries = messages(50, 111)
    await nextTick()
    expect(loadOlder).toHaveBeenCalledTimes(2)
  })

  it('asks again after a failure only when the person wants it', async () => {
    const { loadOlder, button } = mount({ entries: messages(100, 110), older: { kind: 'more', state: 'failed' } })
    await nextTick()
    expect(loadOlder).not.toHaveBeenCalled()
    button()?.click()
    expect(loadOlder).toHaveBeenCalledOnce()
  })
})

describe('messages that are not loaded', () => {
  it.each([['idle', 'Loading messages…'], ['loading', 'Loading messages…'], ['failed', 'Some messages could not be loaded. Try again']] as const)('are a line: %s', (state, text) => {
    expect(mount({ entries: [message(0), hole(state), message(9)] }).root.querySelector('.hole')?.textContent).toBe(text)
  })

  it('are asked for again with a button', () => {
    const failed = hole('failed')
    const { loadHole, button } = mount({ entries: [message(0), failed, message(9)] })
    button()?.click()
    expect(loadHole).toHaveBeenCalledExactlyOnceWith(failed)
  })
})

describe('the line for new messages', () => {
  const label = async (change: Partial<Props>, later: Partial<Props> = {}) => {
    const { root, props } = mount({ entries: messages(0, 5), firstUnread: 'm2', ...change })
    await nextTick()
    Object.assign(props, later)
    await nextTick()
    return root.querySelector('.new')?.textContent
  }

  it('says how many there are, also after they are read', async () => {
    expect(await label({ unread: 3 })).toBe('3 new')
    expect(await label({ unread: 3 }, { unread: 0 })).toBe('3 new')
    expect(await label({ unread: 1 }, { unread: 4 })).toBe('4 new')
    expect(await label({ unread: 50, hasMoreUnread: true })).toBe('50+ new')
    expect(await label({})).toBe('New')
    expect(await label({}, { firstUnread: undefined })).toBeUndefined()
  })
})

it('screen readers are not told about messages that are not new', async () => {
  vi.useFakeTimers()
  const { root, props } = mount({ entries: messages(50, 60) }, 20_000)
  const log = root.querySelector('[role=log]')
  expect(log?.getAttribute('aria-live')).toBe('polite')
  props.entries = messages(50, 61)
  await nextTick()
  expect(log?.getAttribute('aria-live')).toBe('polite')
  props.entries = messages(0, 61)
  await nextTick()
  expect(log?.getAttribute('aria-live')).toBe('off')
  vi.advanceTimersByTime(2000)
  await nextTick()
  expect(log?.getAttribute('aria-live')).toBe('polite')
  vi.useRealTimers()
})

it('the keyboard focus goes to the list when the button that has it is no longer there', async () => {
  const { root, props, button } = mount({ entries: [message(0), hole('failed'), message(9)] })
  button()?.focus()
  props.entries = [message(0), hole('loading'), message(9)]
  await nextTick()
  expect(document.activeElement).toBe(root.querySelector('[role=log]'))
})

describe('the keyboard', () => {
  it('leaves the messages with Escape, because each of them can have a button', () => {
    const { root, write } = mount({ entries: messages(0, 3) })
    root.querySelector('li')?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))
    expect(write).toHaveBeenCalledTimes(1)
  })
})
