import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Failure } from './api'
import { connect, openHub } from './connection'
import type { Hub, Status } from './connection'
import type { Message } from './message'

/** A hub under the test's hand: it starts as `outcome` says and can be cut. */
class FakeHub implements Hub {
  stopped = false
  readonly refusal: Failure | undefined
  private handlers: ((raw: unknown) => void)[] = []
  private closing: (() => void)[] = []

  constructor(private readonly outcome: 'starts' | 'fails' | 'hangs', refusal?: Failure) {
    this.refusal = refusal
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
    if (target === 'newMessage') this.handlers.push(handler)
  }

  onclose(handler: () => void) {
    this.closing.push(handler)
  }

  deliver(raw: unknown) {
    for (const handler of this.handlers) handler(raw)
  }

  cut() {
    for (const handler of this.closing) handler()
  }
}

function house(hubs: FakeHub[], stillSignedIn = () => Promise.resolve(true)) {
  const statuses: Status[] = []
  const messages: Message[] = []
  let opened = 0
  const connection = connect({
    open() {
      opened += 1
      return hubs[opened - 1] ?? hubs.at(-1) ?? new FakeHub('starts')
    },
    stillSignedIn,
    onMessage: message => messages.push(message),
    onStatus: status => statuses.push(status),
  })
  return { connection, messages, opened: () => opened, kinds: () => statuses.map(({ kind }) => kind), last: () => statuses.at(-1) }
}

const settled = () => vi.advanceTimersByTimeAsync(0)
const wire = { id: 'a', sender: 'bob', text: 'hi', sentAt: '2026-11-21T22:00:00Z' }

describe('the live connection', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('goes live and hands on messages that fit the contract, and no others', async () => {
    const hub = new FakeHub('starts')
    const { kinds, messages } = house([hub])
    await settled()
    hub.deliver({ ...wire, text: 7 })
    hub.deliver(wire)
    expect(kinds()).toEqual(['connecting', 'live'])
    expect(messages.map(({ id }) => id)).toEqual(['a'])
  })

  it('retries the first connect for ever, each time with a new negotiate', async () => {
    const { opened, kinds } = house([new FakeHub('fails')])
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(opened()).toBeGreaterThan(100)
    expect(new Set(kinds())).toEqual(new Set(['connecting', 'lost']))
  })

  it('comes back after a cut, and is quick again after a success', async () => {
    const [first, second] = [new FakeHub('starts'), new FakeHub('starts')]
    const { last } = house([first, second])
    await settled()
    first.cut()
    expect(last()).toEqual({ kind: 'connecting' })
    expect(first.stopped).toBe(true)
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toEqual({ kind: 'live' })
  })

  it('slows down when each connection is cut at once, and is quick again after a steady one', async () => {
    const hubs = Array.from({ length: 30 }, () => new FakeHub('starts'))
    const { opened, last } = house(hubs)
    const cutOnceLive = async () => {
      while (last()?.kind !== 'live') await vi.advanceTimersByTimeAsync(100)
      hubs[opened() - 1]?.cut()
    }
    for (let cuts = 0; cuts < 8; cuts += 1) await cutOnceLive()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(last()).toMatchObject({ kind: 'lost' })
    await vi.advanceTimersByTimeAsync(60_000)
    await cutOnceLive()
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toEqual({ kind: 'live' })
  })

  it('keeps saying that it is lost while it tries again, until it is live', async () => {
    const [first, fails] = [new FakeHub('starts'), new FakeHub('fails')]
    const { kinds } = house([first, fails, fails, fails, new FakeHub('starts')])
    await settled()
    first.cut()
    await vi.advanceTimersByTimeAsync(60_000)
    const after = kinds().slice(kinds().indexOf('lost'))
    expect(new Set(after.slice(0, -1))).toEqual(new Set(['lost']))
    expect(after.at(-1)).toBe('live')
  })

  it('notices a cut while it still asks whether the session holds', async () => {
    let answer: (signedIn: boolean) => void = () => undefined
    const asked = new Promise<boolean>((resolve) => { answer = resolve })
    const first = new FakeHub('starts')
    const { opened, last } = house([first, new FakeHub('starts')], () => asked)
    await settled()
    first.cut()
    answer(true)
    await vi.advanceTimersByTimeAsync(500)
    expect(opened()).toBe(2)
    expect(last()).toEqual({ kind: 'live' })
  })

  it('hears nothing from a connection it has left', async () => {
    const [first, second] = [new FakeHub('starts'), new FakeHub('starts')]
    const { messages, kinds } = house([first, second])
    await settled()
    first.cut()
    await vi.advanceTimersByTimeAsync(500)
    first.deliver(wire)
    first.cut()
    expect(messages).toEqual([])
    expect(kinds().at(-1)).toBe('live')
  })

  it('gives up on a start that hangs, and tries anew', async () => {
    const hung = new FakeHub('hangs')
    const { kinds } = house([hung, new FakeHub('starts')])
    await vi.advanceTimersByTimeAsync(25_000)
    expect(hung.stopped).toBe(true)
    expect(kinds().at(-1)).toBe('live')
  })

  it('says that the API is away, and waits as long as it asks', async () => {
    const { last, opened } = house([new FakeHub('fails', { kind: 'later', why: 'busy.', afterMs: 20_000, reached: true }), new FakeHub('starts')])
    await settled()
    expect(last()).toMatchObject({ kind: 'away', why: 'busy.' })
    await vi.advanceTimersByTimeAsync(19_999)
    expect(opened()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(last()).toEqual({ kind: 'live' })
  })

  it('hurries when told to, and only while it waits', async () => {
    const { connection, opened, last } = house([new FakeHub('fails', { kind: 'later', why: 'busy.', afterMs: 20_000, reached: true }), new FakeHub('starts')])
    await settled()
    connection.hurry()
    connection.hurry()
    await settled()
    expect(last()).toEqual({ kind: 'live' })
    connection.hurry()
    expect(opened()).toBe(2)
  })

  it('stops when the API asks for a sign-in', async () => {
    const { opened, last } = house([new FakeHub('fails', { kind: 'unauthenticated' })])
    await vi.advanceTimersByTimeAsync(600_000)
    expect(last()).toEqual({ kind: 'unauthenticated' })
    expect(opened()).toBe(1)
  })

  it('does not go on as a guest when the session has ended but the API would take one', async () => {
    const hub = new FakeHub('starts')
    const { last } = house([hub], () => Promise.resolve(false))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(last()).toEqual({ kind: 'unauthenticated' })
    expect(hub.stopped).toBe(true)
  })

  it('is over when it is closed', async () => {
    const { connection, opened, kinds } = house([new FakeHub('fails')])
    await settled()
    connection.close()
    connection.hurry()
    await vi.advanceTimersByTimeAsync(600_000)
    expect(opened()).toBe(1)
    expect(new Set(kinds())).toEqual(new Set(['connecting']))
  })
})

describe('SignalR’s own client', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('takes the sign-in token to our negotiate, and never to the service', async () => {
    const asked: [string, Headers][] = []
    vi.stubGlobal('fetch', vi.fn<typeof fetch>((url, init) => {
      asked.push([new Request(url).url, new Headers(init?.headers)])
      return Promise.resolve(asked.length === 1
        ? Response.json({ url: 'https://service.example/client/?hub=chat', accessToken: 'access' })
        : Response.json({ negotiateVersion: 1, connectionId: 'c', connectionToken: 'c', availableTransports: [] }))
    }))
    vi.stubGlobal('process', undefined)
    await expect(openHub({ baseUrl: 'https://api.example', token: 'tok' }).start()).rejects.toThrow('transports')
    expect(asked.map(([url, headers]) => [url, headers.get('X-ZUMO-AUTH'), headers.get('Authorization')])).toEqual([
      ['https://api.example/api/negotiate?negotiateVersion=1', 'tok', null],
      ['https://service.example/client/negotiate?hub=chat&negotiateVersion=1', null, 'Bearer access'],
    ])
  })

  it('keeps what our API said about a refused negotiate', async () => {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(new Response('', { status: 401 }))))
    vi.stubGlobal('process', undefined)
    const hub = openHub({ baseUrl: 'https://api.example', token: undefined })
    await expect(hub.start()).rejects.toThrow()
    expect(hub.refusal).toEqual({ kind: 'unauthenticated' })
  })
})
