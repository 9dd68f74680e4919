import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, watch } from 'vue'
import { BATCH_INTERVAL_MS } from './batch'
import { MAX_ENTRIES } from './conversations'
import type { Draft, Sender } from './message'
import type { PostResult, Published } from './outbox'
import { useChat } from './useChat'
import { openTabStorage } from '../tabStorage'

const ALICE: Sender = { kind: 'user', userId: 'alice' }
const payload = (id: string, sender: string, text = id) => ({ id, sender, text, sentAt: '2026-11-21T22:00:00Z' })
const toAlice = (id: string, sender: string) => ({ ...payload(id, sender), recipient: 'alice', isPrivate: true })

/** A chat whose hub connection and API are controlled by the test. */
function setUp(me: Sender = ALICE) {
  const posted: Draft[] = []
  const pending: ((result: PostResult) => void)[] = []
  let deliver: (raw: unknown) => void = () => undefined
  let close: () => void = () => undefined
  const scope = effectScope()
  const chat = scope.run(() => useChat({
    me,
    createConnection: () => ({
      start: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      on: (_, handler) => { deliver = handler },
      onclose: (handler) => { close = handler },
      negotiateFailure: undefined,
    }),
    post(draft) {
      posted.push(draft)
      return new Promise((resolve) => { pending.push(resolve) })
    },
    isSignedIn: () => Promise.resolve(true),
    storage: openTabStorage(),
  }))
  if (chat === undefined) throw new Error('the scope is active')
  const entries = (at = 0) => (chat.conversations.value[at]?.entries ?? []).flatMap(line => (line.kind === 'message' ? [line] : []))
  const respond = async (result: PostResult) => {
    pending.shift()?.(result)
    await settle()
  }
  const send = (text: string) => {
    chat.write(text)
    chat.send()
  }
  return { chat, posted, entries, arrive: (raw: unknown) => { deliver(raw) }, respond, send, deliver: (...raw: unknown[]) => {
      for (const message of raw) deliver(message)
      vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    }, close: () => { close() }, stop: () => { scope.stop() } }
}

const settle = () => vi.advanceTimersByTimeAsync(0)
const failed: PostResult = { kind: 'failed', failure: { kind: 'transient', reason: 'away.', retryAfterMs: undefined } }
const published = ({ id, audience, text }: Draft, sender: Sender = ALICE): Published => ({ kind: 'published', message: { id, audience, text, sender, sentAt: new Date(0) } })

describe('the chat', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    vi.useRealTimers()
    sessionStorage.clear()
  })

  it('shows an own message immediately, and as sent after it is published', async () => {
    const { send, entries, posted, respond, chat } = setUp()
    send('  hello  ')
    expect(entries().map(({ message, delivery }) => [message.text, delivery?.kind])).toEqual([['hello', 'sending']])
    expect(chat.current.value.typed).toBe('')
    await settle()
    await respond(posted.map(draft => published(draft))[0] ?? failed)
    expect(entries().map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
  })

  it('merges an own message from the hub, before and after the response', async () => {
    const { send, entries, posted, respond, deliver } = setUp()
    await settle()
    send('one')
    deliver(payload(posted[0]?.id ?? '', 'alice', 'one'))
    expect(entries().map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
    await respond(failed)
    expect(entries().map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toHaveLength(1)
    deliver(payload(posted[0]?.id ?? '', 'alice', 'one'))
    expect(entries()).toHaveLength(1)
  })

  it('keeps an own message if other people use its id', async () => {
    const { send, entries, posted, deliver } = setUp()
    await settle()
    send('mine')
    const id = posted[0]?.id ?? ''
    deliver(payload(id, 'mallory', 'not yours'))
    deliver(payload(id, '', 'not yours either'))
    expect(entries().map(({ message, delivery }) => [message.text, delivery?.kind])).toEqual([
      ['mine', 'sending'], ['not yours', undefined], ['not yours either', undefined],
    ])
  })

  it('shows a duplicate once, as it first arrived', async () => {
    const { entries, deliver } = setUp()
    await settle()
    deliver(payload('x', 'bob', 'first'))
    deliver(payload('x', 'bob', 'second'))
    expect(entries().map(({ message }) => message.text)).toEqual(['first'])
  })

  it('shows messages that arrive together in one update, and the first one without delay', async () => {
    const { chat, entries, deliver } = setUp()
    await settle()
    const updates = vi.fn()
    watch(chat.conversations, updates, { flush: 'sync' })
    deliver(...Array.from({ length: 400 }, (_, n) => payload(`m${n}`, 'bob')))
    expect(updates).toHaveBeenCalledOnce()
    expect(entries().map(({ key }) => key)).toEqual(Array.from({ length: 400 }, (_, n) => `m${n} bob`))
  })

  it('shows what arrived before a connection ends before the gap', async () => {
    const { chat, arrive, close } = setUp()
    await settle()
    arrive(payload('a', 'bob'))
    close()
    await vi.advanceTimersByTimeAsync(1000)
    expect(chat.current.value.entries.map(({ kind }) => kind)).toEqual(['message', 'gap'])
  })

  it('puts private messages in their own conversation and counts unread ones', async () => {
    const { chat, entries, deliver } = setUp()
    await settle()
    deliver(toAlice('p1', 'bob'))
    deliver(toAlice('p2', 'bob'))
    deliver(payload('e1', 'bob'))
    expect(chat.conversations.value.map(({ key, unread }) => [key, unread])).toEqual([['everyone', 0], ['person bob', 2]])
    expect(entries(1).map(({ message }) => message.id)).toEqual(['p1', 'p2'])
    expect(chat.unread.value).toBe(2)
    expect(chat.announcement.value).toBe('2 new private messages from bob')
    chat.openConversation({ kind: 'person', userId: 'bob' })
    expect(chat.unread.value).toBe(0)
    expect(chat.current.value.firstUnread).toBe('p1 bob')
  })

  it('shows an own private message before it is published', async () => {
    const { chat, send, entries, posted, respond } = setUp()
    await settle()
    chat.openConversation({ kind: 'person', userId: 'bob' })
    send('psst')
    expect(posted[0]?.audience).toEqual({ kind: 'person', userId: 'bob' })
    await respond(published(posted[0] ?? { id: '', audience: { kind: 'everyone' }, text: '' }))
    expect(entries(1).map(({ message, delivery }) => [message.text, delivery?.kind])).toEqual([['psst', 'sent']])
    expect(entries(0)).toEqual([])
  })

  it('shows the private message of another tab of the same user, as sent', async () => {
    const { chat, entries, deliver } = setUp()
    await settle()
    deliver({ ...payload('p1', 'alice'), recipient: 'bob', isPrivate: true })
    expect(chat.conversations.value.map(({ key, unread }) => [key, unread])).toEqual([['everyone', 0], ['person bob', 0]])
    expect(entries(1).map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
  })

  it.each([
    ['the response', ['response', 'copy']], ['the copy from the service', ['copy', 'response']], ['the copy twice', ['copy', 'copy', 'response']],
  ])('shows a private message once, and whether it may not arrive, if %s comes first', async (_, order) => {
    const { chat, send, entries, posted, respond, deliver } = setUp()
    await settle()
    chat.openConversation({ kind: 'person', userId: 'bob' })
    send('psst')
    const [draft] = posted
    for (const what of order) {
      if (draft === undefined) continue
      if (what === 'copy') deliver({ ...payload(draft.id, 'alice', 'psst'), recipient: 'bob', isPrivate: true })
      else await respond({ ...published(draft), recipientOnline: false })
    }
    expect(entries(1).map(({ delivery }) => delivery)).toEqual([{ kind: 'sent', recipientOnline: false }])
    expect(entries(0)).toEqual([])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toHaveLength(1)
  })

  it('shows a private message to oneself once', async () => {
    const { chat, send, entries, posted, respond, deliver } = setUp()
    await settle()
    chat.openConversation({ kind: 'person', userId: 'alice' })
    send('note')
    const [draft] = posted
    if (draft === undefined) throw new Error('nothing was sent')
    await respond(published(draft))
    deliver(toAlice(draft.id, 'alice'))
    expect(chat.conversations.value.map(({ key, entries: { length }, unread }) => [key, length, unread])).toEqual([['everyone', 0, 0], ['person alice', 1, 0]])
    expect(entries(1).map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
  })

  it('offers the people it has seen, and neither guests nor the user', async () => {
    const { chat, deliver, send } = setUp()
    await settle()
    send('mine')
    deliver(payload('a', 'Bob'), payload('b', 'carol'), { ...payload('c', 'Zed (guest)'), nickname: 'Zed', isGuest: true })
    deliver({ ...payload('d', ''), nickname: 'Old' }, toAlice('e', 'dora'), payload('f', 'Bob'))
    chat.openConversation({ kind: 'person', userId: 'Erik' })
    chat.openConversation({ kind: 'person', userId: 'alice' })
    expect(chat.knownPeople()).toEqual(['Erik', 'dora', 'Bob', 'carol'])
  })

  it('says until when messages wait because the user sends too fast', async () => {
    const { chat, send, entries, respond, posted } = setUp()
    await settle()
    send('one')
    send('two')
    await respond({ kind: 'failed', failure: { kind: 'transient', reason: 'too many.', retryAfterMs: 12_000, isRateLimited: true } })
    expect(chat.pausedUntil.value).toBe(Date.now() + 12_000)
    expect(entries().map(({ delivery }) => delivery?.kind)).toEqual(['paused', 'paused'])
    await vi.advanceTimersByTimeAsync(12_000)
    for (const draft of [posted[0], ...posted.slice(1, 2)]) if (draft !== undefined) await respond(published(draft))
    expect(chat.pausedUntil.value).toBeUndefined()
  })

  it('says why a text of which nothing is visible is not sent', () => {
    const { chat, send, posted } = setUp()
    send('\u200b\u2060')
    expect(chat.composerError.value).toContain('There is nothing visible in this message')
    expect(chat.current.value.typed).not.toBe('')
    expect(posted).toEqual([])
    send('\u200bhi')
    expect(posted).toHaveLength(1)
  })

  it('keeps the typed text of each conversation', () => {
    const { chat } = setUp()
    chat.write('to all')
    chat.openConversation({ kind: 'person', userId: 'bob' })
    expect(chat.current.value.typed).toBe('')
    chat.write('to bob')
    chat.openConversation({ kind: 'everyone' })
    expect(chat.current.value.typed).toBe('to all')
  })

  it('keeps a text that is too long, shows an error and posts nothing', () => {
    const { chat, send, posted } = setUp()
    send('😀'.repeat(4097))
    expect(chat.composerError.value).toContain('Too long by 1')
    expect(chat.current.value.typed).not.toBe('')
    expect(posted).toEqual([])
    send('😀'.repeat(4096))
    expect(posted).toHaveLength(1)
  })

  it('restores unsent text after a reload, with the same id', async () => {
    const before = setUp()
    before.send('lost?')
    before.chat.write('half a sen')
    await before.respond(failed)
    before.stop()
    const after = setUp()
    expect(after.entries().map(({ message }) => message.text)).toEqual(['lost?'])
    expect(after.posted[0]?.id).toBe(before.posted[0]?.id)
    expect(after.chat.current.value.typed).toBe('half a sen')
  })

  it('does not restore the text of a different user', async () => {
    const before = setUp()
    before.send('from alice')
    await before.respond(failed)
    before.stop()
    const after = setUp({ kind: 'user', userId: 'bob' })
    expect(after.entries()).toEqual([])
    expect(after.posted).toEqual([])
  })

  it('restores a guest’s text after the guest has signed in', () => {
    const before = setUp({ kind: 'guest', nickname: 'Al' })
    before.send('may I?')
    before.stop()
    expect(setUp().entries().map(({ message }) => message.text)).toEqual(['may I?'])
  })

  it('requires a sign-in if a message is published as a guest’s', async () => {
    const { chat, send, posted, respond } = setUp()
    await settle()
    send('hello')
    await respond(posted.map(draft => published(draft, { kind: 'guest', nickname: undefined }))[0] ?? failed)
    expect(chat.status.value).toEqual({ kind: 'unauthenticated' })
  })

  it('moves an unsent message back to the composer for editing', async () => {
    const { chat, send, entries, respond } = setUp()
    await settle()
    send('wrnog')
    await respond({ kind: 'failed', failure: { kind: 'rejected', status: 400, reason: 'no.', canRetry: false } })
    chat.edit(entries()[0]?.message.id ?? '')
    expect(entries()).toEqual([])
    expect(chat.current.value.typed).toBe('wrnog')
  })

  it('shows the gap after a reconnect', async () => {
    const { chat, deliver, close } = setUp()
    await settle()
    deliver(payload('a', 'bob'))
    close()
    expect(chat.status.value.kind).toBe('connecting')
    await vi.advanceTimersByTimeAsync(1000)
    expect(chat.status.value.kind).toBe('connected')
    expect(chat.current.value.entries.map(({ kind }) => kind)).toEqual(['message', 'gap'])
  })

  it('keeps the latest messages of a conversation, and never drops an unsent one', async () => {
    const { send, entries, deliver } = setUp()
    await settle()
    send('not sent yet')
    for (let n = 0; n < MAX_ENTRIES + 20; n += 1) deliver(payload(`m${n}`, 'bob'))
    expect(entries()).toHaveLength(MAX_ENTRIES)
    expect(entries()[0]?.message.text).toBe('not sent yet')
    expect(entries().at(-1)?.message.id).toBe(`m${MAX_ENTRIES + 19}`)
  })

  it('ignores messages after its scope has ended', async () => {
    const { chat, deliver, stop } = setUp()
    await settle()
    stop()
    deliver(payload('late', 'bob'))
    expect(chat.conversations.value[0]?.entries).toEqual([])
  })

  it('requires a sign-in after endSession', () => {
    const { chat } = setUp()
    chat.endSession()
    expect(chat.status.value).toEqual({ kind: 'unauthenticated' })
  })
})
