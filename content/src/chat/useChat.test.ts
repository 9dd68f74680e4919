import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref, watch } from 'vue'
import type { EffectScope } from 'vue'
import { BATCH_INTERVAL_MS } from './batch'
import type { HistoryPage, HistorySource, PageCursor } from './historyApi'
import { parseMessage } from './message'
import type { Draft, Sender } from './message'
import type { PostResult, Published } from './outbox'
import { useChat } from './useChat'
import { loadVisit, rememberRoom, saveMarks } from './visit'
import { BASIC_FEATURES } from '../features'
import type { Features } from '../features'
import { openBrowserStorage, openTabStorage } from '../tabStorage'

const ALICE: Sender = { kind: 'user', userId: 'alice' }
const payload = (id: string, sender: string, text = id) => ({ id, sender, text, sentAt: '2026-11-21T22:00:00Z' })
const toAlice = (id: string, sender: string) => ({ ...payload(id, sender), recipient: 'alice', isPrivate: true })

const scopes: EffectScope[] = []

/** A chat whose hub connection and API are controlled by the test. `pages` are the histories by their names. */
function setUp(me: Sender = ALICE, offered: Features | null = BASIC_FEATURES, pages: Readonly<Record<string, Partial<HistoryPage>>> = {}) {
  const posted: Draft[] = []
  const pending: ((result: PostResult) => void)[] = []
  let deliver: (raw: unknown) => void = () => undefined
  let close: () => void = () => undefined
  let hear: () => void = () => undefined
  const calls: string[] = []
  const call = (...words: string[]) => {
    calls.push(words.join(' '))
    return Promise.resolve({ kind: 'done' } as const)
  }
  const handlers = new Map<string, (raw: unknown) => void>()
  /** Rooms that cannot be entered. */
  const refusals = new Set<string>()
  /** Pages are answered when this resolves. */
  const answers = { areHeld: Promise.resolve() }
  const features = ref<Features | undefined>(offered ?? undefined)
  const isCovered = ref(false)
  const scope = effectScope()
  scopes.push(scope)
  const chat = scope.run(() => useChat({
    me,
    features,
    isCovered,
    onResume: () => undefined,
    visits: openBrowserStorage(),
    api: {
      post(draft) {
        posted.push(draft)
        return new Promise((resolve) => { pending.push(resolve) })
      },
      fetchPage(source: HistorySource, cursor: PageCursor) {
        const name = source.kind === 'room' ? source.room : source.kind
        calls.push(`read ${name} ${JSON.stringify(cursor)}`)
        return answers.areHeld.then(() => ({ kind: 'page', page: { messages: [], before: null, after: null, hasMore: false, isLost: false, ...pages[name] } }))
      },
      erasePrivate: () => call('erase'),
      removeMessage: (at, room) => call('remove', at, room ?? ''),
      fetchRooms: () => Promise.resolve({ kind: 'known', value: [] }),
      fetchMembers: () => Promise.resolve({ kind: 'known', value: { people: [], guests: 0, hasMore: false } }),
      enterRoom: async (room) => {
        await call('enter', room)
        if (room === 'slow') return new Promise(() => undefined)
        return refusals.has(room) ? { kind: 'failed', failure: { kind: 'rejected', status: 404, code: 'unknown_room', reason: 'no.', canRetry: false } } : { kind: 'done' }
      },
      leaveRoom: room => call('leave', room),
    },
    createConnection: () => ({
      start: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      on: (target, handler) => {
        if (target === 'newMessage') deliver = handler
        handlers.set(target, handler)
      },
      onclose: (handler) => { close = handler },
      onFrame: (handler) => { hear = handler },
      connectionId: 'c',
      negotiateFailure: undefined,
      hasOldSession: false,
    }),
    isSignedIn: () => Promise.resolve(true),
    storage: openTabStorage(),
  }))
  if (chat === undefined) throw new Error('the scope is active')
  const entries = (at = 0) => (chat.threads.value[at]?.entries ?? []).flatMap(line => (line.kind === 'message' ? [line] : []))
  const respond = async (result: PostResult) => {
    pending.shift()?.(result)
    await settle()
  }
  const send = (text: string) => {
    chat.write(text)
    chat.send()
  }
  return { chat, posted, calls, handlers, entries, features, answers, refusals, isCovered, arrive: (raw: unknown) => { deliver(raw) }, respond, send, deliver: (...raw: unknown[]) => {
      for (const message of raw) deliver(message)
      vi.advanceTimersByTime(BATCH_INTERVAL_MS)
    }, close: () => { close() }, hear: () => { hear() }, stop: () => { scope.stop() } }
}

const settle = () => vi.advanceTimersByTimeAsync(0)
const failed: PostResult = { kind: 'failed', failure: { kind: 'transient', reason: 'away.', retryAfterMs: undefined } }
const published = ({ id, audience, text }: Draft, sender: Sender = ALICE): Published => ({ kind: 'published', message: { id, audience, text, sender, sentAt: new Date(0) } })

describe('the chat', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    for (const scope of scopes.splice(0)) scope.stop()
    vi.useRealTimers()
    sessionStorage.clear()
    localStorage.clear()
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
      ['not yours', undefined], ['not yours either', undefined], ['mine', 'sending'],
    ])
  })

  it('shows a duplicate once, as it first arrived', async () => {
    const { entries, deliver } = setUp()
    await settle()
    deliver(payload('x', 'bob', 'hi'))
    deliver({ ...payload('x', 'bob', 'hi'), sentAt: '2026-11-21T23:00:00Z' })
    expect(entries().map(({ message }) => message.sentAt.toISOString())).toEqual(['2026-11-21T22:00:00.000Z'])
  })

  it('shows messages that arrive together in one update, and the first one without delay', async () => {
    const { chat, entries, deliver } = setUp()
    await settle()
    const updates = vi.fn()
    watch(chat.threads, updates, { flush: 'sync' })
    deliver(...Array.from({ length: 400 }, (_, n) => payload(`m${n}`, 'bob')))
    expect(updates).toHaveBeenCalledOnce()
    expect(entries().map(({ message }) => message.id)).toEqual(Array.from({ length: 400 }, (_, n) => `m${n}`))
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
    expect(chat.threads.value.map(({ key, unread }) => [key, unread])).toEqual([['everyone', 0], ['person bob', 2]])
    expect(entries(1).map(({ message }) => message.id)).toEqual(['p1', 'p2'])
    expect(chat.unread.value).toBe(2)
    expect(chat.announcement.value).toBe('2 new private messages from bob')
    chat.open({ kind: 'person', userId: 'bob' })
    expect(chat.unread.value).toBe(0)
    expect(chat.current.value.firstUnread).toBe('p1 bob p1')
  })

  it('has not read what arrives while something else is shown', async () => {
    const { chat, deliver, isCovered } = setUp()
    await settle()
    isCovered.value = true
    await settle()
    deliver(payload('a', 'bob'))
    expect(chat.unread.value).toBe(1)
    isCovered.value = false
    await settle()
    expect([chat.unread.value, chat.current.value.firstUnread]).toEqual([0, 'a bob a'])
  })

  it('shows an own private message before it is published', async () => {
    const { chat, send, entries, posted, respond } = setUp()
    await settle()
    chat.open({ kind: 'person', userId: 'bob' })
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
    expect(chat.threads.value.map(({ key, unread }) => [key, unread])).toEqual([['everyone', 0], ['person bob', 0]])
    expect(entries(1).map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
  })

  it.each([
    ['the response', ['response', 'copy']], ['the copy from the service', ['copy', 'response']], ['the copy twice', ['copy', 'copy', 'response']],
  ])('shows a private message once, and whether it may not arrive, if %s comes first', async (_, order) => {
    const { chat, send, entries, posted, respond, deliver } = setUp()
    await settle()
    chat.open({ kind: 'person', userId: 'bob' })
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
    chat.open({ kind: 'person', userId: 'alice' })
    send('note')
    const [draft] = posted
    if (draft === undefined) throw new Error('nothing was sent')
    await respond(published(draft))
    deliver({ ...toAlice(draft.id, 'alice'), text: 'note' })
    expect(chat.threads.value.map(({ key, entries: { length }, unread }) => [key, length, unread])).toEqual([['everyone', 0, 0], ['person alice', 1, 0]])
    expect(entries(1).map(({ delivery }) => delivery?.kind)).toEqual(['sent'])
  })

  it('offers the people it has seen, and neither guests nor the user', async () => {
    const { chat, deliver, send } = setUp()
    await settle()
    send('mine')
    deliver(payload('a', 'Bob'), payload('b', 'carol'), { ...payload('c', 'Zed (guest)'), nickname: 'Zed', isGuest: true })
    deliver({ ...payload('d', ''), nickname: 'Old' }, toAlice('e', 'dora'), payload('f', 'Bob'))
    chat.open({ kind: 'person', userId: 'Erik' })
    chat.open({ kind: 'person', userId: 'alice' })
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
    chat.open({ kind: 'person', userId: 'bob' })
    expect(chat.current.value.typed).toBe('')
    chat.write('to bob')
    chat.open({ kind: 'everyone' })
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
    await settle()
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
    expect(chat.receiving.value).toEqual({ kind: 'unauthenticated' })
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
    expect(chat.receiving.value.kind).toBe('connecting')
    await vi.advanceTimersByTimeAsync(1000)
    expect(chat.receiving.value.kind).toBe('connected')
    expect(chat.current.value.entries.map(({ kind }) => kind)).toEqual(['message', 'gap'])
  })

  it('ignores messages after its scope has ended', async () => {
    const { chat, deliver, stop } = setUp()
    await settle()
    stop()
    deliver(payload('late', 'bob'))
    expect(chat.threads.value[0]?.entries).toEqual([])
  })

  it('does not send all the time while other calls succeed and fail in turn', async () => {
    const { chat, send, posted, respond } = setUp()
    await settle()
    send('hello')
    await respond(failed)
    for (let times = 0; times < 10; times += 1) {
      chat.retryAfterFailures()
      await respond(failed)
    }
    expect(posted).toHaveLength(2)
    chat.retryNow()
    expect(posted).toHaveLength(3)
  })

  it('requires a sign-in after endSession', () => {
    const { chat } = setUp()
    chat.endSession()
    expect(chat.receiving.value).toEqual({ kind: 'unauthenticated' })
  })

  describe('with a history', () => {
    const ALL: Features = { ...BASIC_FEATURES, history: true, privateHistory: true, rooms: '*' }
    const position = (line: number) => `00000017.${String(line).padStart(10, '0')}`
    const placed = (line: number, values: object = {}) => ({ ...payload(`m${line}`, 'bob'), at: position(line), next: position(line + 1), ...values })
    const pageOf = (first: number, last: number): Partial<HistoryPage> => {
      const messages = Array.from({ length: last - first + 1 }, (_, index) => parseMessage(placed(first + index)) ?? [])
      return { messages: messages.flat(), before: position(first), after: position(last + 1), hasMore: true }
    }

    it('shows the newest messages at once, and enters the rooms of the last visit', async () => {
      rememberRoom(localStorage, ALICE, 'games')
      const { chat, calls, entries } = setUp(ALICE, ALL, { everyone: pageOf(1, 3) })
      await settle()
      expect(entries().map(({ message }) => message.id)).toEqual(['m1', 'm2', 'm3'])
      expect(chat.threads.value.map(({ key }) => key)).toEqual(['everyone', 'room games'])
      for (const expected of ['enter everyone', 'enter games', 'read everyone {}', 'read games {}', 'read private {}']) expect(calls).toContain(expected)
    })

    it('reads what was missed after each connect, once more after five seconds, and each minute', async () => {
      const { calls, close, hear } = setUp(ALICE, ALL, { everyone: pageOf(1, 3) })
      await settle()
      const reads = () => calls.splice(0).filter(call => call === `read everyone {"after":"${position(4)}"}`).length
      reads()
      await vi.advanceTimersByTimeAsync(5000)
      expect(reads()).toBe(1)
      close()
      await vi.advanceTimersByTimeAsync(1000)
      expect(reads()).toBe(1)
      await vi.advanceTimersByTimeAsync(5000)
      expect(reads()).toBe(1)
      for (let seconds = 0; seconds < 60; seconds += 15) {
        hear()
        await vi.advanceTimersByTimeAsync(15_000)
      }
      expect(reads()).toBe(1)
      window.dispatchEvent(new Event('focus'))
      await settle()
      expect(reads()).toBe(1)
    })

    it('reads the messages to everyone at once after a connect, although entering a room takes long', async () => {
      const { calls, close, chat } = setUp(ALICE, ALL)
      await settle()
      chat.open({ kind: 'room', room: 'slow' })
      close()
      calls.splice(0)
      await vi.advanceTimersByTimeAsync(1000)
      expect(calls).toEqual(['enter everyone', 'enter slow', 'read everyone {}', 'read private {}'])
    })

    it('enters a room again only if its messages stay away', async () => {
      const games = { ...pageOf(1, 3) }
      const { chat, calls, deliver, hear } = setUp(ALICE, ALL, { games })
      await settle()
      chat.open({ kind: 'room', room: 'games' })
      await vi.advanceTimersByTimeAsync(12_000)
      const say = async (last: number, arrives: boolean) => {
        Object.assign(games, pageOf(last, last))
        calls.splice(0)
        hear()
        window.dispatchEvent(new Event('focus'))
        await settle()
        if (arrives) deliver(placed(last, { room: 'games' }))
        await vi.advanceTimersByTimeAsync(6000)
        return calls.filter(call => call === 'enter games').length
      }
      expect([await say(4, true), await say(5, false)]).toEqual([0, 1])
    })

    it('writes nothing into the browser after the person has left, although calls are still under way', async () => {
      let answer: () => void = () => undefined
      const { answers, chat, stop, calls } = setUp(ALICE, ALL, { everyone: pageOf(1, 3) })
      await vi.advanceTimersByTimeAsync(2000)
      answers.areHeld = new Promise((resolve) => { answer = resolve })
      window.dispatchEvent(new Event('focus'))
      void chat.erasePrivate()
      stop()
      sessionStorage.clear()
      localStorage.clear()
      answer()
      calls.splice(0)
      await vi.advanceTimersByTimeAsync(10_000)
      expect([localStorage.length, sessionStorage.length, calls]).toEqual([0, 0, []])
    })

    it('has no message back that was erased while it was read', async () => {
      const pages = { private: {} }
      let answer: () => void = () => undefined
      const { answers, chat, deliver, handlers } = setUp(ALICE, ALL, pages)
      await settle()
      deliver(placed(5, { recipient: 'alice', isPrivate: true }))
      chat.open({ kind: 'person', userId: 'bob' })
      pages.private = { messages: [parseMessage(placed(6, { recipient: 'alice', isPrivate: true })) ?? []].flat(), after: position(7) }
      answers.areHeld = new Promise((resolve) => { answer = resolve })
      window.dispatchEvent(new Event('focus'))
      handlers.get('historyErased')?.(undefined)
      answer()
      pages.private = { after: position(8) }
      await settle()
      answers.areHeld = Promise.resolve()
      await vi.advanceTimersByTimeAsync(2000)
      expect(chat.current.value.entries).toEqual([])
    })

    it('keeps a room that another tab has entered', async () => {
      const { deliver } = setUp(ALICE, ALL)
      await settle()
      rememberRoom(localStorage, ALICE, 'music')
      deliver(placed(1))
      await vi.advanceTimersByTimeAsync(2000)
      expect(loadVisit(localStorage, ALICE).rooms).toEqual(['music'])
    })

    it('enters the room of a message that was not sent before a reload', async () => {
      const before = setUp(ALICE, ALL)
      await settle()
      before.chat.open({ kind: 'room', room: 'games' })
      before.send('lost?')
      await before.respond(failed)
      before.stop()
      localStorage.clear()
      const { calls } = setUp(ALICE, ALL)
      await settle()
      expect(calls).toContain('enter games')
    })

    it('forgets the text that was typed in a room when leaving it', async () => {
      const before = setUp(ALICE, ALL)
      await settle()
      before.chat.open({ kind: 'room', room: 'games' })
      before.chat.write('half a sen')
      before.chat.leaveRoom('games')
      before.stop()
      expect(setUp(ALICE, ALL).chat.threads.value.map(({ key }) => key)).toEqual(['everyone'])
    })

    it('does not lose text in a room that cannot be entered', async () => {
      const { chat, refusals, send, respond } = setUp(ALICE, ALL)
      await settle()
      refusals.add('games')
      chat.open({ kind: 'room', room: 'games' })
      send('hello')
      await respond(failed)
      expect(chat.current.value).toMatchObject({ key: 'room games', entries: [{ message: { text: 'hello' } }] })
      expect(chat.actionError.value).toContain('games')
      refusals.add('music')
      chat.open({ kind: 'room', room: 'music' })
      await settle()
      expect(chat.threads.value.map(({ key }) => key)).toEqual(['everyone', 'room games'])
    })

    it('reads nothing any more when the session has ended', async () => {
      const { chat, calls } = setUp(ALICE, ALL)
      await settle()
      chat.endSession()
      calls.splice(0)
      window.dispatchEvent(new Event('focus'))
      await vi.advanceTimersByTimeAsync(120_000)
      expect(calls).toEqual([])
    })

    it('has no gap after a reconnect', async () => {
      const { chat, close } = setUp(ALICE, ALL, { everyone: pageOf(1, 3) })
      await settle()
      close()
      await vi.advanceTimersByTimeAsync(1000)
      expect(chat.current.value.entries.map(({ kind }) => kind)).toEqual(['message', 'message', 'message'])
    })

    it('looks for a message in the history before it is sent again', async () => {
      const { send, posted, respond, entries } = setUp(ALICE, ALL, {
        get everyone() {
          const [draft] = posted
          return draft === undefined ? {} : { messages: [parseMessage(placed(9, { id: draft.id, sender: 'alice', text: draft.text })) ?? []].flat(), after: position(10) }
        },
      })
      await settle()
      send('was it sent?')
      await respond({ kind: 'failed', failure: { kind: 'transient', reason: 'no answer.', retryAfterMs: undefined, mayBeDone: true } })
      await vi.advanceTimersByTimeAsync(1000)
      expect(posted).toHaveLength(1)
      expect(entries()).toMatchObject([{ delivery: { kind: 'sent' }, message: { place: { at: position(9) } } }])
    })

    it('keeps an own message where it was written until it is sent, and its place afterwards', async () => {
      const { send, posted, respond, entries, deliver } = setUp(ALICE, ALL, { everyone: pageOf(1, 2) })
      await settle()
      send('mine')
      deliver(placed(4))
      const [draft] = posted
      if (draft === undefined) throw new Error('nothing was sent')
      const { message } = published(draft)
      await respond({ kind: 'published', message: { ...message, place: { at: position(3), next: position(4) } } })
      expect(entries().map(({ message: { text } }) => text)).toEqual(['m1', 'm2', 'mine', 'm4'])
    })

    it('removes an own message for all, and hides those that others remove', async () => {
      const { chat, calls, handlers, entries } = setUp(ALICE, ALL, { everyone: pageOf(1, 3) })
      await settle()
      const [first] = entries()
      if (first !== undefined) await chat.removeMessage(first)
      handlers.get('messageRemoved')?.({ at: position(2) })
      expect(calls).toContain(`remove ${position(1)} `)
      expect(entries().map(({ message }) => message.isRemoved)).toEqual([true, true, false])
    })

    it.each(['here', 'on another device'])('drops the private messages that were erased %s', async (where) => {
      const { chat, handlers, deliver } = setUp(ALICE, ALL)
      await settle()
      deliver(placed(5, { recipient: 'alice', isPrivate: true }))
      chat.open({ kind: 'person', userId: 'bob' })
      expect(chat.current.value.entries).toHaveLength(1)
      if (where === 'here') await chat.erasePrivate()
      else handlers.get('historyErased')?.(undefined)
      await settle()
      expect(chat.current.value.entries).toEqual([])
    })

    it('leaves a room, and is not in it on the next visit', async () => {
      const { chat, calls } = setUp(ALICE, ALL)
      await settle()
      chat.open({ kind: 'room', room: 'games' })
      await vi.advanceTimersByTimeAsync(1000)
      expect(loadVisit(localStorage, ALICE).rooms).toEqual(['games'])
      chat.leaveRoom('games')
      await vi.advanceTimersByTimeAsync(1000)
      expect([loadVisit(localStorage, ALICE).rooms, chat.current.value.key]).toEqual([[], 'everyone'])
      expect(calls).toContain('leave games')
    })

    it('has what was new counted and marked on the next visit', async () => {
      rememberRoom(localStorage, ALICE, 'games')
      saveMarks(localStorage, ALICE, { everyone: position(2), private: position(9) })
      const { chat } = setUp(ALICE, ALL, { everyone: pageOf(1, 3), games: pageOf(1, 3) })
      await settle()
      expect(chat.current.value).toMatchObject({ key: 'everyone', unread: 0, firstUnread: 'm2 bob m2' })
      await vi.advanceTimersByTimeAsync(1000)
      expect(loadVisit(localStorage, ALICE).marks).toMatchObject({ 'everyone': position(4), 'room games': position(4) })
    })
  })

  it('shows the messages of the tab again after a reload, where there is no history', async () => {
    const before = setUp()
    await settle()
    before.deliver(payload('a', 'bob'))
    window.dispatchEvent(new Event('pagehide'))
    before.stop()
    const { chat } = setUp()
    expect(chat.current.value.entries.map(({ kind }) => kind)).toEqual(['message', 'gap'])
    expect(chat.current.value.unread).toBe(0)
  })
  it('shows the messages of the tab after a reload also while the chat cannot be reached, before what arrives, and without a gap twice', async () => {
    const before = setUp()
    await settle()
    before.deliver(payload('a', 'bob'))
    window.dispatchEvent(new Event('pagehide'))
    before.stop()
    const { chat, features, deliver } = setUp(ALICE, null)
    expect(chat.current.value.entries.map(({ kind }) => kind)).toEqual(['message', 'gap'])
    await settle()
    deliver(payload('b', 'bob'))
    for (const known of [BASIC_FEATURES, { ...BASIC_FEATURES }]) {
      features.value = known
      await settle()
      expect(chat.current.value.entries.map(entry => (entry.kind === 'message' ? entry.message.id : entry.kind))).toEqual(['a', 'gap', 'b'])
    }
  })

  it('shows the messages of rooms again after a reload, where there is no history', async () => {
    const rooms: Features = { ...BASIC_FEATURES, rooms: '*' }
    const before = setUp(ALICE, rooms)
    await settle()
    before.chat.open({ kind: 'room', room: 'games' })
    before.deliver({ ...payload('a', 'bob'), room: 'games' })
    window.dispatchEvent(new Event('pagehide'))
    before.stop()
    expect(setUp(ALICE, rooms).entries(1).map(({ message }) => message.id)).toEqual(['a'])
  })
})
