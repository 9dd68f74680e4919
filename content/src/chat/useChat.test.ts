import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { MAX_LINES } from './conversations'
import type { Draft, Sender } from './message'
import type { PostResult } from './outbox'
import { useChat } from './useChat'
import { tabStore } from '../tabStorage'

const ALICE: Sender = { kind: 'user', userId: 'alice' }
const wire = (id: string, sender: string, text = id) => ({ id, sender, text, sentAt: '2026-11-21T22:00:00Z' })
const toAlice = (id: string, sender: string) => ({ ...wire(id, sender), recipient: 'alice', isPrivate: true })

/** A chat whose hub and API are in the test's hand. */
function house(me: Sender = ALICE) {
  const posted: Draft[] = []
  const answers: ((result: PostResult) => void)[] = []
  let deliver: (raw: unknown) => void = () => undefined
  let cut: () => void = () => undefined
  const scope = effectScope()
  const chat = scope.run(() => useChat({
    me,
    open: () => ({
      start: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      on: (_, handler) => { deliver = handler },
      onclose: (handler) => { cut = handler },
      refusal: undefined,
    }),
    post(draft) {
      posted.push(draft)
      return new Promise((resolve) => { answers.push(resolve) })
    },
    stillSignedIn: () => Promise.resolve(true),
    store: tabStore(),
  }))
  if (chat === undefined) throw new Error('the scope is active')
  const lines = (at = 0) => (chat.conversations[at]?.lines ?? []).flatMap(line => (line.kind === 'said' ? [line] : []))
  const answer = async (result: PostResult) => {
    answers.shift()?.(result)
    await settled()
  }
  const say = (text: string) => {
    chat.write(text)
    chat.send()
  }
  return { chat, posted, lines, answer, say, deliver: (raw: unknown) => { deliver(raw) }, cut: () => { cut() }, stop: () => { scope.stop() } }
}

const settled = () => vi.advanceTimersByTimeAsync(0)
const away: PostResult = { kind: 'failed', failure: { kind: 'later', why: 'away.', afterMs: undefined, reached: false } }
const published = ({ id, audience, text }: Draft, sender: Sender = ALICE): PostResult => ({ kind: 'published', message: { id, audience, text, sender, sentAt: new Date(0) } })

describe('the chat', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    vi.useRealTimers()
    sessionStorage.clear()
  })

  it('shows an own message at once, and as sent only when it is', async () => {
    const { say, lines, posted, answer, chat } = house()
    say('  hello  ')
    expect(lines().map(({ message, delivery }) => [message.text, delivery?.kind])).toEqual([['hello', 'sending']])
    expect(chat.current.value.typed).toBe('')
    await settled()
    await answer(posted.map(draft => published(draft))[0] ?? away)
    expect(lines().map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
  })

  it('merges the echo of an own message, whichever comes first', async () => {
    const { say, lines, posted, answer, deliver } = house()
    await settled()
    say('one')
    deliver(wire(posted[0]?.id ?? '', 'alice', 'one'))
    expect(lines().map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
    await answer(away)
    expect(lines().map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toHaveLength(1)
    deliver(wire(posted[0]?.id ?? '', 'alice', 'one'))
    expect(lines()).toHaveLength(1)
  })

  it('lets nobody else overwrite or confirm a message by using its id', async () => {
    const { say, lines, posted, deliver } = house()
    await settled()
    say('mine')
    const id = posted[0]?.id ?? ''
    deliver(wire(id, 'mallory', 'not yours'))
    deliver(wire(id, '', 'not yours either'))
    expect(lines().map(({ message, delivery }) => [message.text, delivery?.kind])).toEqual([
      ['mine', 'sending'], ['not yours', undefined], ['not yours either', undefined],
    ])
  })

  it('shows a repeated message once, as it was first', async () => {
    const { lines, deliver } = house()
    await settled()
    deliver(wire('x', 'bob', 'first'))
    deliver(wire('x', 'bob', 'second'))
    expect(lines().map(({ message }) => message.text)).toEqual(['first'])
  })

  it('puts private messages into a thread of their own and counts what is not seen', async () => {
    const { chat, lines, deliver } = house()
    await settled()
    deliver(toAlice('p1', 'bob'))
    deliver(toAlice('p2', 'bob'))
    deliver(wire('e1', 'bob'))
    expect(chat.conversations.map(({ key, unread }) => [key, unread])).toEqual([['everyone', 0], ['person bob', 2]])
    expect(lines(1).map(({ message }) => message.id)).toEqual(['p1', 'p2'])
    expect(chat.unread.value).toBe(2)
    expect(chat.news.value).toBe('2 new private messages from bob')
    chat.show({ kind: 'person', userId: 'bob' })
    expect(chat.unread.value).toBe(0)
    expect(chat.current.value.firstUnread).toBe('p1 bob')
  })

  it('shows its own copy of a private message, which the service does not send back', async () => {
    const { chat, say, lines, posted, answer } = house()
    await settled()
    chat.show({ kind: 'person', userId: 'bob' })
    say('psst')
    expect(posted[0]?.audience).toEqual({ kind: 'person', userId: 'bob' })
    await answer(published(posted[0] ?? { id: '', audience: { kind: 'everyone' }, text: '' }))
    expect(lines(1).map(({ message, delivery }) => [message.text, delivery?.kind])).toEqual([['psst', 'sent']])
    expect(lines(0)).toEqual([])
  })

  it('keeps apart what is typed in each conversation', () => {
    const { chat } = house()
    chat.write('to all')
    chat.show({ kind: 'person', userId: 'bob' })
    expect(chat.current.value.typed).toBe('')
    chat.write('to bob')
    chat.show({ kind: 'everyone' })
    expect(chat.current.value.typed).toBe('to all')
  })

  it('keeps a text that is too long, says so, and posts nothing', () => {
    const { chat, say, posted } = house()
    say('😀'.repeat(4097))
    expect(chat.refusal.value).toContain('Too long by 1')
    expect(chat.current.value.typed).not.toBe('')
    expect(posted).toEqual([])
    say('😀'.repeat(4096))
    expect(posted).toHaveLength(1)
  })

  it('offers what was not sent after a reload, under the same id', async () => {
    const before = house()
    before.say('lost?')
    before.chat.write('half a thou')
    await before.answer(away)
    before.stop()
    const after = house()
    expect(after.lines().map(({ message }) => message.text)).toEqual(['lost?'])
    expect(after.posted[0]?.id).toBe(before.posted[0]?.id)
    expect(after.chat.current.value.typed).toBe('half a thou')
  })

  it('does not put one person’s words into another’s mouth', async () => {
    const before = house()
    before.say('from alice')
    await before.answer(away)
    before.stop()
    const after = house({ kind: 'user', userId: 'bob' })
    expect(after.lines()).toEqual([])
    expect(after.posted).toEqual([])
  })

  it('keeps a guest’s words when the guest signs in', () => {
    const before = house({ kind: 'guest', nickname: 'Al' })
    before.say('may I?')
    before.stop()
    expect(house().lines().map(({ message }) => message.text)).toEqual(['may I?'])
  })

  it('says that the session has ended when a message comes out as a guest’s', async () => {
    const { chat, say, posted, answer } = house()
    await settled()
    say('hello')
    await answer(posted.map(draft => published(draft, { kind: 'guest', nickname: undefined }))[0] ?? away)
    expect(chat.status.value).toEqual({ kind: 'unauthenticated' })
  })

  it('gives an unsent message back for editing', async () => {
    const { chat, say, lines, answer } = house()
    await settled()
    say('wrnog')
    await answer({ kind: 'failed', failure: { kind: 'refused', status: 400, why: 'no.', again: false } })
    chat.edit(lines()[0]?.message.id ?? '')
    expect(lines()).toEqual([])
    expect(chat.current.value.typed).toBe('wrnog')
  })

  it('shows where it was not connected', async () => {
    const { chat, deliver, cut } = house()
    await settled()
    deliver(wire('a', 'bob'))
    cut()
    expect(chat.status.value.kind).toBe('connecting')
    await vi.advanceTimersByTimeAsync(1000)
    expect(chat.status.value.kind).toBe('live')
    expect(chat.current.value.lines.map(({ kind }) => kind)).toEqual(['said', 'gap'])
  })

  it('keeps the last messages of a thread, and never drops an unsent one', async () => {
    const { say, lines, deliver } = house()
    await settled()
    say('not sent yet')
    for (let n = 0; n < MAX_LINES + 20; n += 1) deliver(wire(`m${n}`, 'bob'))
    expect(lines()).toHaveLength(MAX_LINES)
    expect(lines()[0]?.message.text).toBe('not sent yet')
    expect(lines().at(-1)?.message.id).toBe(`m${MAX_LINES + 19}`)
  })

  it('is silent after its scope has ended', async () => {
    const { chat, deliver, stop } = house()
    await settled()
    stop()
    deliver(wire('late', 'bob'))
    expect(chat.conversations[0]?.lines).toEqual([])
  })

  it('has ended for the chat as well when something beside it learns that the session has', () => {
    const { chat } = house()
    chat.endSession()
    expect(chat.status.value).toEqual({ kind: 'unauthenticated' })
  })
})
