import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Failure } from './api'
import { connect, createHubConnection } from './connection'
import type { HubConnection, Status } from './connection'
import type { Message } from './message'

/** A hub connection that starts as `outcome` says and can be closed by the test. */
class FakeHub implements HubConnection {
  stopped = false
  readonly negotiateFailure: Failure | undefined
  private handlers: ((raw: unknown) => void)[] = []
  private closeHandlers: (() => void)[] = []

  constructor(private readonly outcome: 'starts' | 'fails' | 'hangs', negotiateFailure?: Failure) {
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
    if (target === 'newMessage') this.handlers.push(handler)
  }

  onclose(handler: () => void) {
    this.closeHandlers.push(handler)
  }

  deliver(raw: unknown) {
    for (const handler of this.handlers) handler(raw)
  }

  closeByServer() {
    for (const handler of this.closeHandlers) handler()
  }
}

function setUp(hubs: FakeHub[], isSignedIn = () => Promise.resolve(true)) {
  const statuses: Status[] = []
  const messages: Message[] = []
  let opened = 0
  const connection = connect({
    createConnection() {
      opened += 1
      return hubs[opened - 1] ?? hubs.at(-1) ?? new FakeHub('starts')
    },
    isSignedIn,
    onMessage: message => messages.push(message),
    onStatus: status => statuses.push(status),
  })
  return { connection, messages, opened: () => opened, kinds: () => statuses.map(({ kind }) => kind), last: () => statuses.at(-1) }
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
    expect(last()).toEqual({ kind: 'connecting' })
    expect(first.stopped).toBe(true)
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toEqual({ kind: 'connected' })
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
    await vi.advanceTimersByTimeAsync(60_000)
    await closeOnceConnected()
    await vi.advanceTimersByTimeAsync(500)
    expect(last()).toEqual({ kind: 'connected' })
  })

  it('stays reconnecting until it is connected', async () => {
    const [first, fails] = [new FakeHub('starts'), new FakeHub('fails')]
    const { kinds } = setUp([first, fails, fails, fails, new FakeHub('starts')])
    await settle()
    first.closeByServer()
    await vi.advanceTimersByTimeAsync(60_000)
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
    expect(last()).toEqual({ kind: 'connected' })
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
    expect(last()).toEqual({ kind: 'connected' })
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
    expect(last()).toEqual({ kind: 'connected' })
  })

  it('retries immediately on retryNow, but only while it waits', async () => {
    const { connection, opened, last } = setUp([new FakeHub('fails', { kind: 'transient', reason: 'busy.', retryAfterMs: 20_000 }), new FakeHub('starts')])
    await settle()
    connection.retryNow()
    connection.retryNow()
    await settle()
    expect(last()).toEqual({ kind: 'connected' })
    connection.retryNow()
    expect(opened()).toBe(2)
  })

  it('stops if the API requires a sign-in', async () => {
    const { opened, last } = setUp([new FakeHub('fails', { kind: 'unauthenticated' })])
    await vi.advanceTimersByTimeAsync(600_000)
    expect(last()).toEqual({ kind: 'unauthenticated' })
    expect(opened()).toBe(1)
  })

  it('does not continue as a guest if the session has ended', async () => {
    const hub = new FakeHub('starts')
    const { last } = setUp([hub], () => Promise.resolve(false))
    await vi.advanceTimersByTimeAsync(600_000)
    expect(last()).toEqual({ kind: 'unauthenticated' })
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
})

describe('the SignalR client', () => {
  afterEach(() => { vi.unstubAllGlobals() })

  it('sends the sign-in token to the API and never to the service', async () => {
    const requests: [string, Headers][] = []
    vi.stubGlobal('fetch', vi.fn<typeof fetch>((url, init) => {
      requests.push([new Request(url).url, new Headers(init?.headers)])
      return Promise.resolve(requests.length === 1
        ? Response.json({ url: 'https://service.example/client/?hub=chat', accessToken: 'access' })
        : Response.json({ negotiateVersion: 1, connectionId: 'c', connectionToken: 'c', availableTransports: [] }))
    }))
    vi.stubGlobal('process', undefined)
    await expect(createHubConnection({ baseUrl: 'https://api.example', token: 'tok' }).start()).rejects.toThrow('transports')
    expect(requests.map(([url, headers]) => [url, headers.get('X-ZUMO-AUTH'), headers.get('Authorization')])).toEqual([
      ['https://api.example/api/negotiate?negotiateVersion=1', 'tok', null],
      ['https://service.example/client/negotiate?hub=chat&negotiateVersion=1', null, 'Bearer access'],
    ])
  })

  it('reports why the API refused to negotiate', async () => {
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(new Response('', { status: 401 }))))
    vi.stubGlobal('process', undefined)
    const hub = createHubConnection({ baseUrl: 'https://api.example', token: undefined })
    await expect(hub.start()).rejects.toThrow()
    expect(hub.negotiateFailure).toEqual({ kind: 'unauthenticated' })
  })
})
