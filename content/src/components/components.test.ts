import { afterEach, describe, expect, it, vi } from 'vitest'
import { createApp, h, nextTick, ref } from 'vue'
import type { Component } from 'vue'
import { Conversations } from '../chat/conversations'
import type { MessageEntry } from '../chat/conversations'
import ConversationList from './ConversationList.vue'
import MessageComposer from './MessageComposer.vue'
import MessageItem from './MessageItem.vue'
import PrivateMessageDialog from './PrivateMessageDialog.vue'
import SendingNotice from './SendingNotice.vue'
import UserAvatar from './UserAvatar.vue'

function mount(component: Component, props: Record<string, unknown>): HTMLElement {
  const root = document.createElement('div')
  document.body.append(root)
  createApp({ render: () => h(component, props) }).mount(root)
  return root
}

const entry: MessageEntry = {
  kind: 'message',
  key: 'k',
  delivery: undefined,
  message: { id: 'k', sender: { kind: 'user', userId: 'bob' }, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(0) },
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

describe('the dialog for a private message', () => {
  const open = () => {
    const chosen = vi.fn()
    const root = document.createElement('div')
    document.body.append(root)
    const dialog = ref<{ open(): void }>()
    const knownPeople = () => ['Bob@contoso.com', 'carol@contoso.com']
    createApp({ render: () => h(PrivateMessageDialog, { knownPeople, 'ref': dialog, 'onWrite-to': chosen }) }).mount(root)
    dialog.value?.open()
    const write = async (name: string) => {
      const input = root.querySelector('input')
      if (input === null) throw new Error('there is a field')
      input.value = name
      input.dispatchEvent(new Event('input'))
      await nextTick()
    }
    return { root, chosen, write, people: () => [...root.querySelectorAll('li')].map(({ textContent }) => textContent) }
  }

  it('offers known people, and those whose name contains what is typed', async () => {
    const { write, people } = open()
    await nextTick()
    expect(people()).toEqual(['BOBob@contoso.com', 'CAcarol@contoso.com'])
    await write(' bob')
    expect(people()).toEqual(['BOBob@contoso.com'])
    await write('erik')
    expect(people()).toEqual([])
  })

  it('takes the name of a known person as it is', async () => {
    const { root, chosen } = open()
    await nextTick()
    root.querySelector<HTMLButtonElement>('li button')?.click()
    expect(chosen).toHaveBeenCalledExactlyOnceWith('Bob@contoso.com')
  })

  it('takes any other name without white space at its ends, and keeps its letter case', async () => {
    const { root, chosen, write } = open()
    await write('  Dora@Contoso.com ')
    root.querySelector('form')?.dispatchEvent(new Event('submit'))
    expect(chosen).toHaveBeenCalledExactlyOnceWith('Dora@Contoso.com')
  })
})

describe('the notice about sending too fast', () => {
  it.each([[12_000, 'in 12\u00a0seconds'], [900, 'in 1\u00a0second'], [-5000, 'now']])('says when sending continues: %i ms', (left, when) => {
    const root = mount(SendingNotice, { until: Date.now() + left, signedIn: true })
    expect(root.textContent).toContain(`Sending too fast. Your messages are kept. Sending continues ${when}.`)
  })
})

describe('the notice to a guest, who shares the limit with other guests,', () => {
  it('does not blame the guest', () => {
    expect(mount(SendingNotice, { until: Date.now() + 1000, signedIn: false }).textContent).toContain('Too many messages from guests. Your messages are kept.')
  })
})

describe('the list of conversations', () => {
  it('shows no more of a message than fits in its line', () => {
    const conversations = new Conversations({ kind: 'user', userId: 'me' })
    conversations.receive([{ ...entry.message, audience: { kind: 'person', userId: 'me' }, text: '😀'.repeat(4096) }], true)
    const root = mount(ConversationList, { conversations: conversations.list, current: 'everyone', signedIn: true })
    expect(root.querySelector('.private small')?.textContent).toBe('😀'.repeat(80))
  })
})

describe('an avatar', () => {
  it('does not show all marks of a letter', () => {
    expect(mount(UserAvatar, { name: `z${'\u0301'.repeat(4095)}`, kind: 'guest' }).textContent).toBe(`Z${'\u0301'.repeat(7)}`)
  })
})

describe('a message', () => {
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
    expect(root.textContent).toContain('bobguest, not verified')
    expect(root.querySelector('button')).toBeNull()
  })

  it('marks a guest without a name', () => {
    expect(show({ sender: { kind: 'guest', nickname: undefined } }).textContent).toContain('Guestguest, not verified')
  })

  it('does not mark a user whose name says guest', () => {
    expect(show({ sender: { kind: 'user', userId: 'Zed (guest)' } }).textContent).not.toContain('not verified')
  })

  it('says that the recipient of a private message is not online', () => {
    const audience = { kind: 'person', userId: 'bob' } as const
    expect(show({ audience }, { kind: 'sent', recipientOnline: false }).textContent).toContain('bob is not online and may not get this.')
    for (const recipientOnline of [true, undefined]) expect(show({ audience }, { kind: 'sent', recipientOnline }).textContent).not.toContain('online')
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
    [{ kind: 'paused' }, ['Edit']],
    [{ kind: 'sent' }, []],
  ] as const)('offers the actions for the delivery %j', (delivery, actions) => {
    expect([...show({}, delivery).querySelectorAll('button')].map(({ textContent }) => textContent)).toEqual(actions)
  })
})
