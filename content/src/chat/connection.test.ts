import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Failure } from './api'
import { connect } from './connection'
import type { Status } from './connection'
import type { HubConnection } from './hubConnection'
import type { Message } from './message'
import type { Removal } from './removal'

/** A hub connection that starts as `outcome` says and can be closed by the test. */
class FakeHub implements HubConnection {
  stopped = false
  hasOldSession = false
  readonly negotiateFailure: Failure | undefined
  private readonly handlers = new Map<string, (raw: unknown) => void>()
  private readonly closeHandlers: (() => void)[] = []
  private handleFrame: () => void = () => undefined

  constructor(
    private readonly outcome: 'starts' | 'fails' | 'hangs',
    negotiateFailure?: Failure,
    readonly connectionId = 'c1',
  ) {
    this.negotiateFailure = negotiateFailure
  }

  start() {
    if (this.outcome === 'hangs') return new Promise<void>(() => undefined)
    return this.outcome === 'starts' ? Promise.resolve() : Promise.reject(new Error('no'))
  }

  stop() {
    this.stopped = true
    return Promise.resolve()
  }

  on(target: string, handler: (...args: unknown[]) => void) {
    this.handlers.set(target, handler)
  }

  onclose(handler: () => void) {
    this.closeHandlers.push(handler)
  }

  onFrame(handler: () => void) {
    this.handleFrame = handler
  }

  /** A ping. */
  ping() {
    this.handleFrame()
  }

  deliver(raw: unknown, target = 'newMessage') {
    this.handleFrame()
    this.handlers.get(target)?.(raw)
  }

  closeByServer() {
    for (const handler of this.closeHandlers) handler()
  }
}

function setUp(hubs: FakeHub[], isSignedIn = () => Promise.resolve(true)) {
  const statuses: Status[] = []
  const messages: Message[] = []
  const removals: Removal[] = []
  let opened = 0
  const connection = connect({
    createConnection() {
      opened += 1
      return hubs[opened - 1] ?? hubs.at(-1) ?? new FakeHub('starts')
    },
    isSignedIn,
    onMessage: message => messages.push(message),
    onRemoval: removal => removals.push(removal),
    onStatus: status => statuses.push(status),
  })
  return { connection, messages, removals, opened: () => opened, kinds: () => statuses.map(({ kind }) => kind), last: () => statuses.at(-1) }
}

const settle = () => vi.advanceTimersByTimeAsync(0)
const payload = { id: 'a', sender: 'bob', text: 'hi', sentAt: '2026-11-21T22:00:00Z' }

describe('the connection', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('delivers valid messages and no others', async () => {
    const hub = new FakeHub('starts')
    const { kinds, messages } = setUp([hub])
    await settle()
    hub.deliver({ ...payload, text: 7 })
    hub.deliver(payload)
    expect(kinds()).toEqual(['connecting', 'connected'])
    expect(messages.map(({ id }) => id)).toEqual(['a'])
  })

  it('retries the first connect forever, each time with a new negotiate', async () => {
    const { opened, kinds } = setUp([new FakeHub('fails')])
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(opened()).toBeGreaterThan(100)
    expect(new Set(kinds())).toEqual(new Set(['connecting', 'reconnecting']))
  })

  it('reconnects quickly after it is closed', async () => {
    const [first, second] = [new FakeHub('starts'), new FakeHub('starts')]
    const { last } = setUp([first, second])
    await settle()
    first.closeByServer()
    expect(last()).toMatchObject({ kind: 'connecting' })
    expect(first.stopped).toBe(true)
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('backs off if each connection closes at once, and reconnects quickly after a stable one', async () => {
    const hubs = Array.from({ length: 30 }, () => new FakeHub('starts'))
    const { opened, last } = setUp(hubs)
    const closeOnceConnected = async () => {
      while (last()?.kind !== 'connected') await vi.advanceTimersByTimeAsync(100)
      hubs[opened() - 1]?.closeByServer()
    }
    for (let closes = 0; closes < 8; closes += 1) await closeOnceConnected()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(last()).toMatchObject({ kind: 'reconnecting' })
    while (last()?.kind !== 'connected') await vi.advanceTimersByTimeAsync(100)
    await vi.advanceTimersByTimeAsync(12_000)
    await closeOnceConnected()
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('stays reconnecting until it is connected', async () => {
    const [first, fails] = [new FakeHub('starts'), new FakeHub('fails')]
    const { kinds, last } = setUp([first, fails, fails, fails, new FakeHub('starts')])
    await settle()
    first.closeByServer()
    await vi.advanceTimersByTimeAsync(1000)
    while (last()?.kind !== 'connected') await vi.advanceTimersByTimeAsync(1000)
    const after = kinds().slice(kinds().indexOf('reconnecting'))
    expect(new Set(after.slice(0, -1))).toEqual(new Set(['reconnecting']))
    expect(after.at(-1)).toBe('connected')
  })

  it('notices a close during the sign-in check', async () => {
    let respond: (signedIn: boolean) => void = () => undefined
    const check = new Promise<boolean>((resolve) => { respond = resolve })
    const first = new FakeHub('starts')
    const { opened, last } = setUp([first, new FakeHub('starts')], () => check)
    await settle()
    first.closeByServer()
    respond(true)
    await vi.advanceTimersByTimeAsync(500)
    expect(opened()).toBe(2)
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('ignores events of a previous connection', async () => {
    const [first, second] = [new FakeHub('starts'), new FakeHub('starts')]
    const { messages, kinds } = setUp([first, second])
    await settle()
    first.closeByServer()
    await vi.advanceTimersByTimeAsync(500)
    first.deliver(payload)
    first.closeByServer()
    expect(messages).toEqual([])
    expect(kinds().at(-1)).toBe('connected')
  })

  it('retries after a start that times out', async () => {
    const hung = new FakeHub('hangs')
    const { kinds } = setUp([hung, new FakeHub('starts')])
    await vi.advanceTimersByTimeAsync(25_000)
    expect(hung.stopped).toBe(true)
    expect(kinds().at(-1)).toBe('connected')
  })

  it('is offline if the API fails, and waits as long as Retry-After says', async () => {
    const { last, opened } = setUp([new FakeHub('fails', { kind: 'transient', reason: 'busy.', retryAfterMs: 20_000 }), new FakeHub('starts')])
    await settle()
    expect(last()).toMatchObject({ kind: 'offline', reason: 'busy.' })
    await vi.advanceTimersByTimeAsync(19_999)
    expect(opened()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('waits if there were too many attempts, even if the user wants to retry', async () => {
    const limited: Failure = { kind: 'transient', reason: 'too many.', retryAfterMs: 12_000, isRateLimited: true }
    const { connection, last, opened } = setUp([new FakeHub('fails', limited), new FakeHub('starts')])
    await settle()
    expect(last()).toMatchObject({ kind: 'offline', canRetryNow: false })
    connection.retryNow()
    await vi.advanceTimersByTimeAsync(11_999)
    expect(opened()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('retries immediately on retryNow, but only while it waits', async () => {
    const { connection, opened, last } = setUp([new FakeHub('fails', { kind: 'transient', reason: 'busy.', retryAfterMs: 20_000 }), new FakeHub('starts')])
    await settle()
    connection.retryNow()
    connection.retryNow()
    await settle()
    expect(last()).toMatchObject({ kind: 'connected' })
    connection.retryNow()
    expect(opened()).toBe(2)
  })

  it('stops if the API requires a sign-in', async () => {
    const { opened, last } = setUp([new FakeHub('fails', { kind: 'unauthenticated' })])
    await vi.advanceTimersByTimeAsync(600_000)
    expect(last()).toMatchObject({ kind: 'unauthenticated' })
    expect(opened()).toBe(1)
  })

  it('does not continue as a guest if the session has ended', async () => {
    const hub = new FakeHub('starts')
    const { last } = setUp([hub], () => Promise.resolve(false))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(last()).toMatchObject({ kind: 'unauthenticated' })
    expect(hub.stopped).toBe(true)
  })

  it('does not reconnect after it is closed', async () => {
    const { connection, opened, kinds } = setUp([new FakeHub('fails')])
    await settle()
    connection.close()
    connection.retryNow()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(opened()).toBe(1)
    expect(new Set(kinds())).toEqual(new Set(['connecting']))
  })

  it('delivers removals, and no invalid ones', async () => {
    const hub = new FakeHub('starts')
    const { removals } = setUp([hub])
    await settle()
    hub.deliver({ at: '00000017.0000000689' }, 'messageRemoved')
    hub.deliver({ at: '17.689' }, 'messageRemoved')
    expect(removals).toEqual([{ audience: { kind: 'everyone' }, at: '00000017.0000000689' }])
  })

  it('reports the id of each connection, and when the last frame of the one before arrived', async () => {
    const hubs = [new FakeHub('starts', undefined, 'c1'), new FakeHub('starts', undefined, 'c2')]
    const { last } = setUp(hubs)
    await settle()
    expect(last()).toEqual({ kind: 'connected', connectionId: 'c1', lastHeard: undefined })
    await vi.advanceTimersByTimeAsync(12_000)
    hubs[0]?.ping()
    const heard = Date.now()
    await vi.advanceTimersByTimeAsync(9000)
    hubs[0]?.closeByServer()
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toEqual({ kind: 'connected', connectionId: 'c2', lastHeard: heard })
  })

  it('is checked and replaced when not even a ping has arrived for 18 s', async () => {
    const hubs = [new FakeHub('starts'), new FakeHub('hangs')]
    const { last, opened } = setUp(hubs)
    await settle()
    for (let pings = 0; pings < 10; pings += 1) {
      await vi.advanceTimersByTimeAsync(15_000)
      hubs[0]?.ping()
    }
    await vi.advanceTimersByTimeAsync(17_999)
    expect(opened()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(last()).toMatchObject({ kind: 'checking', lastHeard: Date.now() - 18_000 })
    expect(hubs[0]?.stopped).toBe(true)
  })

  it('is checked and replaced when an own message does not come back within 3 s', async () => {
    const { connection, kinds, last } = setUp([new FakeHub('starts'), new FakeHub('starts')])
    await settle()
    connection.expectEcho('a')
    await vi.advanceTimersByTimeAsync(2999)
    expect(last()).toMatchObject({ kind: 'connected' })
    await vi.advanceTimersByTimeAsync(1)
    expect(kinds().slice(-2)).toEqual(['checking', 'connected'])
  })

  it.each(['before', 'after'])('is not checked when the own message comes back %s the answer to its call', async (order) => {
    const hub = new FakeHub('starts')
    const { connection, opened } = setUp([hub])
    await settle()
    if (order === 'before') hub.deliver(payload)
    connection.expectEcho('a')
    await vi.advanceTimersByTimeAsync(2000)
    if (order === 'after') hub.deliver(payload)
    await vi.advanceTimersByTimeAsync(12_000)
    expect(opened()).toBe(1)
  })

  it('is dropped when the device goes offline, and tries again at once when it is online', async () => {
    const hubs = [new FakeHub('starts'), ...Array.from({ length: 8 }, () => new FakeHub('fails')), new FakeHub('starts')]
    const { connection, last, opened } = setUp(hubs)
    await settle()
    connection.setOffline()
    expect(hubs[0]?.stopped).toBe(true)
    while (opened() < 9) await vi.advanceTimersByTimeAsync(1000)
    await settle()
    expect(last()).toMatchObject({ kind: 'reconnecting' })
    connection.resume('offline')
    await settle()
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('is replaced when the page comes back from a sleep in which the timers stood still', async () => {
    const { last, opened } = setUp([new FakeHub('starts'), new FakeHub('starts')])
    await settle()
    vi.setSystemTime(Date.now() + 3_600_000)
    await vi.advanceTimersByTimeAsync(2000)
    expect(opened()).toBe(2)
    expect(last()).toMatchObject({ kind: 'connected' })
  })

  it('connects again with the renewed session if it was negotiated with the old one', async () => {
    const first = new FakeHub('starts')
    first.hasOldSession = true
    const { kinds, opened } = setUp([first, new FakeHub('starts')])
    await settle()
    expect(first.stopped).toBe(true)
    expect(opened()).toBe(2)
    expect(new Set(kinds())).toEqual(new Set(['connecting', 'connected']))
    expect(kinds().at(-1)).toBe('connected')
  })

  it('reports that the session has ended once, and stops', async () => {
    const hub = new FakeHub('starts')
    const { connection, kinds, opened } = setUp([hub])
    await settle()
    connection.endSession()
    connection.endSession()
    connection.retryNow()
    connection.resume('cached')
    await vi.advanceTimersByTimeAsync(600_000)
    expect(kinds()).toEqual(['connecting', 'connected', 'unauthenticated'])
    expect([hub.stopped, opened(), vi.getTimerCount()]).toEqual([true, 1, 0])
  })
})
