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
const later = (afterMs?: number): PostResult => failed({ kind: 'later', why: 'away.', afterMs, reached: true })
const failed = (failure: Failure): PostResult => ({ kind: 'failed', failure })

/** An outbox whose API answers what `answers` says, in turn, and publishes once they are used up. */
function house(...answers: PostResult[]) {
  const posted: string[] = []
  const states = new Map<string, Delivery | 'published'>()
  const kept: string[][] = []
  const onUnauthenticated = vi.fn()
  const outbox = new Outbox({
    post(draft) {
      posted.push(draft.id)
      return Promise.resolve(answers.shift() ?? published(draft))
    },
    onDelivery: (id, delivery) => states.set(id, delivery),
    onPublished: id => states.set(id, 'published'),
    onUnauthenticated,
    onChange: unsent => kept.push(unsent.map(({ id }) => id)),
  })
  return { outbox, posted, states, kept, onUnauthenticated }
}

const settled = () => vi.advanceTimersByTimeAsync(0)

describe('the outbox', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('sends one after the other, in order', async () => {
    let inFlight = 0
    let most = 0
    const order: string[] = []
    const outbox = new Outbox({
      async post(draft) {
        most = Math.max(most, ++inFlight)
        order.push(draft.id)
        await Promise.resolve()
        inFlight -= 1
        return published(draft)
      },
      onDelivery: vi.fn(), onPublished: vi.fn(), onUnauthenticated: vi.fn(), onChange: vi.fn(),
    })
    for (const id of ['a', 'b', 'c']) outbox.add(draft(id))
    await settled()
    expect(order).toEqual(['a', 'b', 'c'])
    expect(most).toBe(1)
  })

  it('says sent only when the API has published', async () => {
    const { outbox, states } = house(later())
    outbox.add(draft('a'))
    expect(states.get('a')).toEqual({ kind: 'sending' })
    await settled()
    expect(states.get('a')).toEqual({ kind: 'unsent', why: 'away.', next: 'soon' })
  })

  it('tries again by itself with the same id, and the others wait their turn', async () => {
    const { outbox, posted, states } = house(later(), later())
    outbox.add(draft('a'))
    outbox.add(draft('b'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toEqual(['a', 'a', 'a', 'b'])
    expect([...states.values()]).toEqual(['published', 'published'])
  })

  it('keeps saying why while it tries again by itself', async () => {
    const { outbox, states } = house(later(), later())
    const seen: (Delivery | 'published' | undefined)[] = []
    outbox.add(draft('a'))
    await settled()
    vi.spyOn(states, 'set').mockImplementation((_, state) => {
      seen.push(state)
      return states
    })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(seen.map(state => (typeof state === 'object' ? state.kind : state))).toEqual(['unsent', 'published'])
  })

  it('waits as long as the API asks', async () => {
    const { outbox, posted } = house(later(20_000))
    outbox.add(draft('a'))
    await vi.advanceTimersByTimeAsync(19_999)
    expect(posted).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1)
    expect(posted).toEqual(['a', 'a'])
  })

  it('goes at once when told to hurry', async () => {
    const { outbox, posted } = house(later())
    outbox.add(draft('a'))
    await settled()
    outbox.hurry()
    await settled()
    expect(posted).toEqual(['a', 'a'])
  })

  it('hurries past a time that the API named only when a person asks', async () => {
    const { outbox, posted } = house(later(20_000))
    outbox.add(draft('a'))
    await settled()
    outbox.hurry()
    await settled()
    expect(posted).toEqual(['a'])
    outbox.again('a')
    await settled()
    expect(posted).toEqual(['a', 'a'])
  })

  it('does not try by itself what was refused for good, and lets the next pass', async () => {
    const { outbox, posted, states, kept } = house(failed({ kind: 'refused', status: 400, why: 'no.', again: false }))
    outbox.add(draft('a'))
    outbox.add(draft('b'))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toEqual(['a', 'b'])
    expect(states.get('a')).toEqual({ kind: 'unsent', why: 'no.', next: 'change' })
    expect(kept.at(-1)).toEqual(['a'])
  })

  it('tries a refused message again by hand, with the same id', async () => {
    const { outbox, posted, states } = house(failed({ kind: 'refused', status: 400, why: 'no.', again: true }))
    outbox.add(draft('a'))
    await settled()
    expect(states.get('a')).toEqual({ kind: 'unsent', why: 'no.', next: 'by-hand' })
    outbox.again('a')
    expect(states.get('a')).toEqual({ kind: 'sending' })
    await settled()
    expect(posted).toEqual(['a', 'a'])
    expect(states.get('a')).toBe('published')
  })

  it('keeps everything when the session has ended', async () => {
    const { outbox, posted, kept, onUnauthenticated } = house(failed({ kind: 'unauthenticated' }))
    outbox.add(draft('a'))
    outbox.add(draft('b'))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toEqual(['a'])
    expect(kept.at(-1)).toEqual(['a', 'b'])
    expect(onUnauthenticated).toHaveBeenCalledOnce()
  })

  it('gives a message back to its author, and does not send it any more', async () => {
    const { outbox, posted, kept } = house(later())
    outbox.add(draft('a'))
    await settled()
    expect(outbox.take('a')?.text).toBe('a')
    expect(outbox.take('a')).toBeUndefined()
    expect(kept.at(-1)).toEqual([])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(posted).toEqual(['a'])
  })

  it('has an end', () => {
    const { outbox } = house(...Array.from({ length: MAX_UNSENT }, () => later()))
    for (let n = 0; n < MAX_UNSENT; n += 1) expect(outbox.add(draft(`m${n}`))).toBe(true)
    expect(outbox.add(draft('one more'))).toBe(false)
  })

  it('sends nothing after it is closed', async () => {
    const { outbox, posted } = house(later())
    outbox.add(draft('a'))
    await settled()
    outbox.close()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(posted).toEqual(['a'])
  })
})
