import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Failure } from './api'
import type { Draft, Message } from './message'
import { MAX_UNSENT, Outbox } from './outbox'
import type { Delivery, PostResult } from './outbox'

const draft = (id: string): Draft => ({ id, audience: { kind: 'everyone' }, text: id })
const published = ({ id, audience, text }: Draft): PostResult => {
  const message: Message = { id, audience, text, sender: { kind: 'user', userId: 'me' }, sentAt: new Date(0) }
  return { kind: 'published', message }
}
const transient = (retryAfterMs?: number): PostResult => failed({ kind: 'transient', reason: 'away.', retryAfterMs })
const failed = (failure: Failure): PostResult => ({ kind: 'failed', failure })

/** An outbox whose API returns `results` in turn, then publishes everything. */
function setUp(...results: PostResult[]) {
  const posted: string[] = []
  const states = new Map<string, Delivery | 'published'>()
  const saved: string[][] = []
  const pauses: (number | 'over')[] = []
  const failing: (string | undefined)[] = []
  const onUnauthenticated = vi.fn()
  const outbox = new Outbox({
    post(draft) {
      posted.push(draft.id)
      return Promise.resolve(results.shift() ?? published(draft))
    },
    onDelivery: (id, delivery) => states.set(id, delivery),
    onPublished: id => states.set(id, 'published'),
    onUnauthenticated,
    onPause: until => pauses.push(until === undefined ? 'over' : until - Date.now()),
    onFailing: reason => failing.push(reason),
    onChange: unsent => saved.push(unsent.map(({ id }) => id)),
  })
  return { outbox, posted, states, saved, pauses, failing, onUnauthenticated }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

describe('the outbox', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('sends one message at a time, in order', async () => {
    let inFlight = 0
    let maxInFlight = 0
    const order: string[] = []
    const outbox = new Outbox({
      async post(draft) {
        maxInFlight = Math.max(maxInFlight, ++inFlight)
        order.push(draft.id)
        await Promise.resolve()
        inFlight -= 1
        return published(draft)
      },
      onDelivery: vi.fn(), onPublished: vi.fn(), onUnauthenticated: vi.fn(), onPause: vi.fn(), onChange: vi.fn(),
    })
    for (const id of ['a', 'b', 'c']) outbox.add(draft(id))
    await settle()
    expect(order).toEqual(['a', 'b', 'c'])
    expect(maxInFlight).toBe(1)
  })

  it('reports a message as sent only after the API has published it', async () => {
    const { outbox, states } = setUp(transient())
    outbox.add(draft('a'))
    expect(states.get('a')).toEqual({ kind: 'sending' })
    await settle()
    expect(states.get('a')).toEqual({ kind: 'unsent', reason: 'away.', next: 'automatic-retry' })
  })

  it('retries with the same id while the other messages wait', async () => {
    const { outbox, posted, states } = setUp(transient(), transient())
    outbox.add(draft('a'))
    outbox.add(draft('b'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toEqual(['a', 'a', 'a', 'b'])
    expect([...states.values()]).toEqual(['published', 'published'])
  })

  it('keeps the reason visible during an automatic retry', async () => {
    const { outbox, states } = setUp(transient(), transient())
    const seen: (Delivery | 'published' | undefined)[] = []
    outbox.add(draft('a'))
    await settle()
    vi.spyOn(states, 'set').mockImplementation((_, state) => {
      seen.push(state)
      return states
    })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(seen.map(state => (typeof state === 'object' ? state.kind : state))).toEqual(['unsent', 'published'])
  })

  it('waits as long as Retry-After says', async () => {
    const { outbox, posted } = setUp(transient(20_000))
    outbox.add(draft('a'))
    await vi.advanceTimersByTimeAsync(19_999)
    expect(posted).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1)
    expect(posted).toEqual(['a', 'a'])
  })

  it('retries immediately on retryNow', async () => {
    const { outbox, posted } = setUp(transient())
    outbox.add(draft('a'))
    await settle()
    outbox.retryNow()
    await settle()
    expect(posted).toEqual(['a', 'a'])
  })

  it('ignores Retry-After only if the user retries', async () => {
    const { outbox, posted } = setUp(transient(20_000))
    outbox.add(draft('a'))
    await settle()
    outbox.retryNow()
    await settle()
    expect(posted).toEqual(['a'])
    outbox.retry('a')
    await settle()
    expect(posted).toEqual(['a', 'a'])
  })

  it('does not retry a rejected message, and sends the next one', async () => {
    const { outbox, posted, states, saved } = setUp(failed({ kind: 'rejected', status: 400, reason: 'no.', canRetry: false }))
    outbox.add(draft('a'))
    outbox.add(draft('b'))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toEqual(['a', 'b'])
    expect(states.get('a')).toEqual({ kind: 'unsent', reason: 'no.', next: 'edit' })
    expect(saved.at(-1)).toEqual(['a'])
  })

  it('retries a rejected message manually with the same id', async () => {
    const { outbox, posted, states } = setUp(failed({ kind: 'rejected', status: 400, reason: 'no.', canRetry: true }))
    outbox.add(draft('a'))
    await settle()
    expect(states.get('a')).toEqual({ kind: 'unsent', reason: 'no.', next: 'manual-retry' })
    outbox.retry('a')
    expect(states.get('a')).toEqual({ kind: 'sending' })
    await settle()
    expect(posted).toEqual(['a', 'a'])
    expect(states.get('a')).toBe('published')
  })

  it('keeps all messages if the session has ended', async () => {
    const { outbox, posted, saved, onUnauthenticated } = setUp(failed({ kind: 'unauthenticated' }))
    outbox.add(draft('a'))
    outbox.add(draft('b'))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toEqual(['a'])
    expect(saved.at(-1)).toEqual(['a', 'b'])
    expect(onUnauthenticated).toHaveBeenCalledOnce()
  })

  it('does not send a message that was taken back', async () => {
    const { outbox, posted, saved } = setUp(transient())
    outbox.add(draft('a'))
    await settle()
    expect(outbox.take('a')?.text).toBe('a')
    expect(outbox.take('a')).toBeUndefined()
    expect(saved.at(-1)).toEqual([])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toEqual(['a'])
  })

  it('has a maximum size', () => {
    const { outbox } = setUp(...Array.from({ length: MAX_UNSENT }, () => transient()))
    for (let n = 0; n < MAX_UNSENT; n += 1) expect(outbox.add(draft(`m${n}`))).toBe(true)
    expect(outbox.add(draft('one more'))).toBe(false)
  })

  it('sends nothing after it is closed', async () => {
    const { outbox, posted } = setUp(transient())
    outbox.add(draft('a'))
    await settle()
    outbox.close()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toEqual(['a'])
  })

  describe('says that messages cannot be sent', () => {
    it('after two failures, until one is sent', async () => {
      const { outbox, failing } = setUp(transient(), transient())
      outbox.add(draft('a'))
      await settle()
      expect(failing).toEqual([])
      await vi.advanceTimersByTimeAsync(500)
      expect(failing).toEqual(['away.'])
      await vi.advanceTimersByTimeAsync(10_000)
      expect(failing).toEqual(['away.', undefined])
    })

    it('until none waits', async () => {
      const { outbox, failing } = setUp(transient(), transient(), transient(), transient())
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(500)
      outbox.take('a')
      expect(failing).toEqual(['away.', undefined])
    })
  })

  describe('after an answer that did not come', () => {
    const lost: Failure = { kind: 'transient', reason: 'away.', retryAfterMs: undefined, mayBeDone: true }

    /** An outbox that looks for messages as `find` says. */
    function setUpWithFind(find: (draft: Draft, outbox: Outbox) => Promise<void>, ...results: PostResult[]) {
      const calls: string[] = []
      const events: string[] = []
      const outbox: Outbox = new Outbox({
        post(draft) {
          calls.push(`post ${draft.id}`)
          return Promise.resolve(results.shift() ?? published(draft))
        },
        find(draft) {
          calls.push(`find ${draft.id}`)
          return find(draft, outbox)
        },
        onDelivery: (id, { kind }) => events.push(`${id} ${kind}`),
        onPublished: id => events.push(`${id} published`),
        onUnauthenticated: vi.fn(), onPause: vi.fn(), onChange: vi.fn(),
      })
      return { outbox, calls, events }
    }
    const isThere = (draft: Draft, outbox: Outbox) => {
      outbox.take(draft.id)
      return Promise.resolve()
    }

    it('looks for its message, and does not send it again if it is there', async () => {
      const { outbox, calls, events } = setUpWithFind(isThere, failed(lost))
      outbox.add(draft('a'))
      outbox.add(draft('b'))
      await vi.advanceTimersByTimeAsync(1000)
      expect(calls).toEqual(['post a', 'find a', 'post b'])
      expect(events.filter(event => event.endsWith('published'))).toEqual(['b published'])
    })

    it.each([
      ['is not there', () => Promise.resolve()],
      ['cannot be looked for', () => Promise.reject(new Error('no history'))],
    ])('sends it again with the same id if it %s', async (_, find) => {
      const { outbox, calls } = setUpWithFind(find, failed(lost), failed(lost))
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(5000)
      expect(calls).toEqual(['post a', 'find a', 'post a', 'find a', 'post a'])
    })

    it.each<[string, Failure]>([
      ['too many requests', { kind: 'transient', reason: 'too many.', retryAfterMs: 1000, isRateLimited: true }],
      ['a refusal before anything was done', { kind: 'transient', reason: 'busy.', retryAfterMs: 1000, mayBeDone: false }],
    ])('does not look for it after %s', async (_, failure) => {
      const { outbox, calls } = setUpWithFind(isThere, failed(failure))
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(2000)
      expect(calls).toEqual(['post a', 'post a'])
    })

    it('looks for it until it is published, also after a later refusal', async () => {
      const refused: Failure = { kind: 'transient', reason: 'busy.', retryAfterMs: 1000, mayBeDone: false }
      const { outbox, calls } = setUpWithFind(() => Promise.resolve(), failed(lost), failed(refused))
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(5000)
      expect(calls).toEqual(['post a', 'find a', 'post a', 'find a', 'post a'])
    })

    it('looks first for a message of an earlier load of the page', async () => {
      const { outbox, calls } = setUpWithFind(isThere)
      outbox.add(draft('a'), true)
      await settle()
      expect(calls).toEqual(['find a'])
    })

    it('does not send a message that was taken back while it was looked for', async () => {
      let answer: () => void = () => undefined
      const { outbox, calls } = setUpWithFind(() => new Promise((resolve) => { answer = resolve }), failed(lost))
      outbox.add(draft('a'))
      outbox.add(draft('b'))
      await vi.advanceTimersByTimeAsync(1000)
      outbox.take('a')
      answer()
      await settle()
      expect(calls).toEqual(['post a', 'find a', 'post b'])
    })
  })

  describe('after the API has said that this person sends too fast', () => {
    const limited = (retryAfterMs?: number): PostResult => failed({ kind: 'transient', reason: 'too many.', retryAfterMs, isRateLimited: true })

    it.each([1000, 12_000, 299_000])('waits for %i ms and reports how long', async (retryAfterMs) => {
      const { outbox, posted, states, pauses } = setUp(limited(retryAfterMs))
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(retryAfterMs - 1)
      expect(posted).toEqual(['a'])
      expect(states.get('a')).toEqual({ kind: 'paused' })
      expect(pauses).toEqual([retryAfterMs])
      await vi.advanceTimersByTimeAsync(1)
      expect(posted).toEqual(['a', 'a'])
      expect(pauses).toEqual([retryAfterMs, 'over'])
    })

    it('backs off if the API names no delay', async () => {
      const { outbox, posted, pauses } = setUp(limited())
      outbox.add(draft('a'))
      await settle()
      expect(posted).toEqual(['a'])
      expect(pauses[0]).toBeGreaterThanOrEqual(250)
      await vi.advanceTimersByTimeAsync(500)
      expect(posted).toEqual(['a', 'a'])
    })

    it('keeps the messages of all conversations, in order, also those that are added meanwhile', async () => {
      const { outbox, posted, states, saved } = setUp(limited(12_000), limited(3000))
      outbox.add(draft('a'))
      outbox.add({ ...draft('b'), audience: { kind: 'person', userId: 'bob' } })
      await settle()
      outbox.add({ ...draft('c'), audience: { kind: 'person', userId: 'carol' } })
      outbox.add(draft('d'))
      expect([...states.values()].map(state => (typeof state === 'object' ? state.kind : state))).toEqual(['paused', 'paused', 'paused', 'paused'])
      expect(saved.at(-1)).toEqual(['a', 'b', 'c', 'd'])
      await vi.advanceTimersByTimeAsync(20_000)
      expect(posted).toEqual(['a', 'a', 'a', 'b', 'c', 'd'])
      expect(new Set(states.values())).toEqual(new Set(['published']))
    })

    it('is not hurried, neither by the user nor by a new connection', async () => {
      const { outbox, posted, states } = setUp(limited(12_000))
      outbox.add(draft('a'))
      await settle()
      outbox.retry('a')
      outbox.retryNow()
      await vi.advanceTimersByTimeAsync(11_999)
      expect(posted).toEqual(['a'])
      expect(states.get('a')).toEqual({ kind: 'paused' })
    })

    it('sends a failed message after the pause if the user retries it meanwhile', async () => {
      const { outbox, posted, states } = setUp(failed({ kind: 'rejected', status: 502, reason: 'no.', canRetry: true }), limited(12_000))
      outbox.add(draft('a'))
      outbox.add(draft('b'))
      await settle()
      outbox.retry('a')
      expect(states.get('a')).toEqual({ kind: 'paused' })
      await vi.advanceTimersByTimeAsync(12_000)
      expect(posted).toEqual(['a', 'b', 'b', 'a'])
    })

    it('reports one pause if the API says it again', async () => {
      const { outbox, pauses } = setUp(limited(12_000), limited(5000))
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(20_000)
      expect(pauses).toEqual([12_000, 5000, 'over'])
    })

    it('reports the end if all messages were taken back', async () => {
      const { outbox, posted, pauses } = setUp(limited(12_000))
      outbox.add(draft('a'))
      await settle()
      outbox.take('a')
      await vi.advanceTimersByTimeAsync(12_000)
      expect(posted).toEqual(['a'])
      expect(pauses).toEqual([12_000, 'over'])
    })

    it.each([
      ['a different failure', transient(), { kind: 'unsent', reason: 'away.', next: 'automatic-retry' }],
      ['a rejection', failed({ kind: 'rejected', status: 400, reason: 'no.', canRetry: false }), { kind: 'unsent', reason: 'no.', next: 'edit' }],
      ['the end of the session', failed({ kind: 'unauthenticated' }), { kind: 'unsent', reason: 'you are not signed in.', next: 'manual-retry' }],
    ])('reports the end at %s', async (_, next, state) => {
      const { outbox, states, pauses } = setUp(limited(12_000), next)
      outbox.add(draft('a'))
      await vi.advanceTimersByTimeAsync(12_000)
      expect(pauses).toEqual([12_000, 'over'])
      expect(states.get('a')).toEqual(state)
    })
  })
})
