// Owns the live connection: negotiate with our API, then a WebSocket (or what the client falls back to) to the SignalR service.
// The client's own reconnect is not used. It gives up, never retries a first connect, and cannot be told to hurry; this loop
// starts over with a fresh negotiate each time, for ever.
import { DefaultHttpClient, HttpClient, HttpResponse, HubConnectionBuilder, LogLevel, NullLogger } from '@microsoft/signalr'
import type { HttpRequest } from '@microsoft/signalr'
import { callApi } from './api'
import type { Api, Failure } from './api'
import { backoff } from './backoff'
import { parseMessage } from './message'
import type { Message } from './message'

/**
 * How the live connection stands. `away` is an API that cannot be reached or used, `lost` a service that cannot; both stay until
 * the connection is live again, with a `retryAt` (milliseconds of the epoch) that is past during a try.
 */
export type Status =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'lost', readonly retryAt: number }
  | { readonly kind: 'away', readonly retryAt: number, readonly why: string }
  | { readonly kind: 'unauthenticated' }

/** One connection to the hub, of the shape of SignalR's `HubConnection`. `refusal` is what our API answered to the negotiate. */
export interface Hub {
  start(): Promise<void>
  stop(): Promise<void>
  on(target: string, handler: (...args: unknown[]) => void): void
  onclose(handler: () => void): void
  readonly refusal: Failure | undefined
}

export interface ConnectionOptions {
  /** A new, unstarted connection for each try. */
  readonly open: () => Hub
  /** Asked beside each try: whether the session still holds. A session that ended would otherwise go on as a guest's. */
  readonly stillSignedIn: () => Promise<boolean>
  readonly onMessage: (message: Message) => void
  readonly onStatus: (status: Status) => void
}

export interface Connection {
  /** Tries at once instead of waiting for the next turn. */
  hurry(): void
  /** Leaves the hub for good. */
  close(): void
}

/** The service's own deadline for a handshake is 15 s; a socket that says nothing at all for longer never will. */
const START_DEADLINE_MS = 20_000
/** A connection cut sooner counts as one more failure, or a service that ends each at once would be called without pause. */
const STEADY_MS = 10_000

/** Connects, and keeps connecting until it is closed or the API asks for a sign-in. */
export function connect({ open, stillSignedIn, onMessage, onStatus }: ConnectionOptions): Connection {
  let failures = 0
  let liveSince = Infinity
  /** What is told while there is no connection. */
  let status: Status = { kind: 'connecting' }
  /** The connection in use, started or starting. */
  let hub: Hub | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  const attempt = async () => {
    timer = undefined
    onStatus('retryAt' in status ? { ...status, retryAt: Date.now() } : status)
    const current = open()
    hub = current
    current.on('newMessage', (raw) => {
      const message = parseMessage(raw)
      if (message !== undefined && hub === current) onMessage(message)
    })
    current.onclose(() => {
      if (hub !== current) return
      if (Date.now() - liveSince >= STEADY_MS) failures = 0
      retryLater(undefined)
    })
    const [started, signedIn] = await Promise.all([startInTime(current), stillSignedIn()])
    if (hub !== current) return
    if (!signedIn || current.refusal?.kind === 'unauthenticated') {
      leave()
      onStatus({ kind: 'unauthenticated' })
    } else if (started) {
      liveSince = Date.now()
      status = { kind: 'connecting' }
      onStatus({ kind: 'live' })
    } else {
      retryLater(current.refusal)
    }
  }

  const retryLater = (refusal: Failure | undefined) => {
    leave()
    failures += 1
    const named = refusal?.kind === 'later' ? refusal.afterMs : undefined
    const wait = Math.max(named ?? 0, backoff(failures, Math.random()))
    timer = setTimeout(() => void attempt(), wait)
    const retryAt = Date.now() + wait
    // A first failure is mended within the second more often than not, as when the service ends a connection at its token's end.
    if (failures > 1 || named !== undefined) {
      status = refusal === undefined || refusal.kind === 'unauthenticated' ? { kind: 'lost', retryAt } : { kind: 'away', retryAt, why: refusal.why }
    }
    onStatus(status)
  }

  const leave = () => {
    const left = hub
    hub = undefined
    // Nobody waits for the goodbye: a connection already dead has none to say.
    left?.stop().catch(() => undefined)
  }

  void attempt()
  return {
    hurry() {
      if (timer === undefined) return
      clearTimeout(timer)
      void attempt()
    },
    close() {
      clearTimeout(timer)
      timer = undefined
      leave()
    },
  }
}

/** Whether `hub` started before the deadline. */
async function startInTime(hub: Hub): Promise<boolean> {
  let deadline: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<boolean>((resolve) => {
    deadline = setTimeout(() => { resolve(false) }, START_DEADLINE_MS)
  })
  const started = hub.start().then(() => true, () => false)
  const inTime = await Promise.race([started, late])
  clearTimeout(deadline)
  return inTime
}

/** A connection of `@microsoft/signalr` to the hub that `api` negotiates. */
export function openHub(api: Api): Hub {
  const client = new ApiHttpClient(api)
  const connection = new HubConnectionBuilder()
    .withUrl(`${api.baseUrl}/api`, { httpClient: client, withCredentials: false })
    // The client logs the socket's address, and the access token is part of it.
    .configureLogging(LogLevel.None)
    .build()
  return {
    start: () => connection.start(),
    stop: () => connection.stop(),
    on: (target, handler) => { connection.on(target, handler) },
    onclose: (handler) => { connection.onclose(handler) },
    get refusal() { return client.refusal },
  }
}

/**
 * Sends our own negotiate with the sign-in token, and the rest without.
 * The client's `headers` option would not do: it goes to the SignalR service as well, which has no business with the token.
 */
class ApiHttpClient extends HttpClient {
  refusal: Failure | undefined
  private readonly service = new DefaultHttpClient(NullLogger.instance)

  constructor(private readonly api: Api) {
    super()
  }

  override async send(request: HttpRequest): Promise<HttpResponse> {
    const { url = '', method = 'POST' } = request
    if (!url.startsWith(`${this.api.baseUrl}/api/`)) return this.service.send(request)
    const answer = await callApi(this.api, url, { method })
    if (answer.kind === 'ok') return new HttpResponse(200, 'OK', answer.text)
    this.refusal = answer.failure
    throw new Error('the API refused to negotiate')
  }
}
