// Keeps the page connected: negotiates with the API, then connects to the SignalR service, and repeats both after each failure.
// The client's `withAutomaticReconnect` is not used: it gives up, does not retry a first connect, and cannot be triggered by a user.
import { DefaultHttpClient, HttpClient, HttpResponse, HubConnectionBuilder, LogLevel, NullLogger } from '@microsoft/signalr'
import type { HttpRequest } from '@microsoft/signalr'
import { callApi } from './api'
import type { Api, Failure } from './api'
import { backoff } from './backoff'
import { parseMessage } from './message'
import type { Message } from './message'

/**
 * State of the connection. `offline`: the API cannot be reached; `reconnecting`: the SignalR service cannot. Both last until the
 * connection is up again. `retryAt` is in milliseconds since the epoch, and in the past during an attempt. `canRetryNow`: an earlier
 * attempt may succeed.
 */
export type Status =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'reconnecting', readonly retryAt: number }
  | { readonly kind: 'offline', readonly retryAt: number, readonly reason: string, readonly canRetryNow: boolean }
  | { readonly kind: 'unauthenticated' }

/** The part of SignalR's `HubConnection` that is used here, and the API's failure to negotiate. */
export interface HubConnection {
  start(): Promise<void>
  stop(): Promise<void>
  on(target: string, handler: (...args: unknown[]) => void): void
  onclose(handler: () => void): void
  readonly negotiateFailure: Failure | undefined
}

export interface ConnectionOptions {
  /** Creates an unstarted connection; called for each attempt. */
  readonly createConnection: () => HubConnection
  /** Called with each attempt. Without this check, a signed-out user would continue as a guest. */
  readonly isSignedIn: () => Promise<boolean>
  readonly onMessage: (message: Message) => void
  readonly onStatus: (status: Status) => void
}

export interface Connection {
  /** Ends the wait before the next attempt, except when the API has refused to negotiate because there were too many attempts. */
  retryNow(): void
  /** Disconnects for good. */
  close(): void
}

/** Longer than the service's handshake time-out of 15 s. */
const START_TIMEOUT_MS = 20_000
/** A connection that closes sooner counts as a failed attempt. */
const STABLE_AFTER_MS = 10_000

/** Connects, and reconnects until it is closed or the API requires a sign-in. */
export function connect({ createConnection, isSignedIn, onMessage, onStatus }: ConnectionOptions): Connection {
  let failures = 0
  let connectedSince = Infinity
  /** The status to report while there is no connection. */
  let status: Status = { kind: 'connecting' }
  /** The connection in use, started or starting. */
  let hub: HubConnection | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  const attempt = async () => {
    timer = undefined
    onStatus('retryAt' in status ? { ...status, retryAt: Date.now() } : status)
    const current = createConnection()
    hub = current
    current.on('newMessage', (raw) => {
      const message = hub === current ? parseMessage(raw) : undefined
      if (message !== undefined) onMessage(message)
    })
    current.onclose(() => {
      if (hub !== current) return
      if (Date.now() - connectedSince >= STABLE_AFTER_MS) failures = 0
      retryLater(undefined)
    })
    const [started, signedIn] = await Promise.all([startWithTimeout(current), isSignedIn()])
    if (hub !== current) return
    if (!signedIn || current.negotiateFailure?.kind === 'unauthenticated') {
      disconnect()
      onStatus({ kind: 'unauthenticated' })
    } else if (started) {
      connectedSince = Date.now()
      status = { kind: 'connecting' }
      onStatus({ kind: 'connected' })
    } else {
      retryLater(current.negotiateFailure)
    }
  }

  const retryLater = (failure: Failure | undefined) => {
    disconnect()
    failures += 1
    const { retryAfterMs, isRateLimited = false } = failure?.kind === 'transient' ? failure : { retryAfterMs: undefined }
    const delay = Math.max(retryAfterMs ?? 0, backoff(failures, Math.random()))
    timer = setTimeout(() => void attempt(), delay)
    const retryAt = Date.now() + delay
    // A first failure is usually short, such as a connection that the service closes when its token expires.
    if (failures > 1 || retryAfterMs !== undefined) {
      status = failure === undefined || failure.kind === 'unauthenticated' ? { kind: 'reconnecting', retryAt } : { kind: 'offline', retryAt, reason: failure.reason, canRetryNow: !isRateLimited }
    }
    onStatus(status)
  }

  const disconnect = () => {
    const previous = hub
    hub = undefined
    // Not awaited: a dead connection may never complete its close.
    previous?.stop().catch(() => undefined)
  }

  void attempt()
  return {
    retryNow() {
      if (timer === undefined || (status.kind === 'offline' && !status.canRetryNow)) return
      clearTimeout(timer)
      void attempt()
    },
    close() {
      clearTimeout(timer)
      timer = undefined
      disconnect()
    },
  }
}

/** Whether `hub` started within the time-out. */
async function startWithTimeout(hub: HubConnection): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const timedOut = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => { resolve(false) }, START_TIMEOUT_MS)
  })
  const started = hub.start().then(() => true, () => false)
  const inTime = await Promise.race([started, timedOut])
  clearTimeout(timer)
  return inTime
}

/** A connection of `@microsoft/signalr` to the hub that `api` negotiates. */
export function createHubConnection(api: Api): HubConnection {
  const client = new ApiHttpClient(api)
  const connection = new HubConnectionBuilder()
    .withUrl(`${api.baseUrl}/api`, { httpClient: client, withCredentials: false })
    // The client logs the WebSocket URL, which contains the access token.
    .configureLogging(LogLevel.None)
    .build()
  return {
    start: () => connection.start(),
    stop: () => connection.stop(),
    on: (target, handler) => { connection.on(target, handler) },
    onclose: (handler) => { connection.onclose(handler) },
    get negotiateFailure() { return client.failure },
  }
}

/**
 * Sends the sign-in token with requests to the API, and with no other request.
 * The client's `headers` option would also send it to the SignalR service.
 */
class ApiHttpClient extends HttpClient {
  failure: Failure | undefined
  private readonly defaultClient = new DefaultHttpClient(NullLogger.instance)

  constructor(private readonly api: Api) {
    super()
  }

  override async send(request: HttpRequest): Promise<HttpResponse> {
    const { url = '', method = 'POST' } = request
    if (!url.startsWith(`${this.api.baseUrl}/api/`)) return this.defaultClient.send(request)
    const result = await callApi(this.api, url, { method })
    if (result.kind === 'ok') return new HttpResponse(200, 'OK', result.text)
    this.failure = result.failure
    throw new Error('the API refused to negotiate')
  }
}
