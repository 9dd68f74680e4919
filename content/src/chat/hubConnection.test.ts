import { afterEach, describe, expect, it, vi } from 'vitest'
import { createHubConnection } from './hubConnection'

/** A WebSocket that the test opens and writes to. */
class FakeWebSocket {
  static readonly OPEN = 1
  static last: FakeWebSocket | undefined
  readonly readyState = 1
  onopen: () => void = () => undefined
  onmessage: (event: { data: string }) => void = () => undefined

  constructor(readonly url: string) {
    FakeWebSocket.last = this
    queueMicrotask(() => { this.onopen() })
  }

  send() {
    return undefined
  }

  close() {
    return undefined
  }

  /** A frame of the service. */
  receive(message: object) {
    this.onmessage({ data: `${JSON.stringify(message)}\u001e` })
  }
}

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
    expect(hub.negotiateFailure).toMatchObject({ kind: 'unauthenticated' })
  })

  it('reports each frame, pings too, and the id of the connection', async () => {
    const webSockets = [{ transport: 'WebSockets', transferFormats: ['Text', 'Binary'] }]
    const answers = [
      { url: 'https://service.example/client/?hub=chat', accessToken: 'access' },
      { negotiateVersion: 1, connectionId: 'c1', connectionToken: 'secret', availableTransports: webSockets },
    ]
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(Response.json(answers.shift()))))
    vi.stubGlobal('process', undefined)
    vi.stubGlobal('WebSocket', FakeWebSocket)
    const hub = createHubConnection({ baseUrl: 'https://api.example', token: 'tok' })
    const onFrame = vi.fn()
    const onMessage = vi.fn()
    hub.onFrame(onFrame)
    hub.on('newMessage', onMessage)
    const started = hub.start()
    await vi.waitFor(() => { expect(FakeWebSocket.last).toBeDefined() })
    await vi.waitFor(() => {
      FakeWebSocket.last?.receive({})
      return started
    })
    expect([hub.connectionId, hub.hasOldSession]).toEqual(['c1', false])
    onFrame.mockClear()
    FakeWebSocket.last?.receive({ type: 6 })
    FakeWebSocket.last?.receive({ type: 1, target: 'newMessage', arguments: [{ id: 'a' }] })
    await vi.waitFor(() => { expect(onMessage).toHaveBeenCalledWith({ id: 'a' }) })
    expect(onFrame).toHaveBeenCalledTimes(2)
  })

  it('tells if the session was renewed since it negotiated', async () => {
    let token = 'old'
    vi.stubGlobal('fetch', vi.fn<typeof fetch>(() => Promise.resolve(new Response('', { status: 503 }))))
    vi.stubGlobal('process', undefined)
    const hub = createHubConnection({ baseUrl: 'https://api.example', get token() { return token } })
    await expect(hub.start()).rejects.toThrow()
    expect(hub.hasOldSession).toBe(false)
    token = 'new'
    expect(hub.hasOldSession).toBe(true)
  })
})
