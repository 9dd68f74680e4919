// A connection of `@microsoft/signalr` to the hub that the API negotiates.
import { DefaultHttpClient, HttpClient, HttpResponse, HubConnectionBuilder, JsonHubProtocol, LogLevel, NullLogger } from '@microsoft/signalr'
import type { HttpRequest, IHubProtocol } from '@microsoft/signalr'
import { callApi } from './api'
import type { Api, Failure } from './api'

/** The part of SignalR's `HubConnection` that is used here, and what it does not tell. */
export interface HubConnection {
  start(): Promise<void>
  stop(): Promise<void>
  on(target: string, handler: (...args: unknown[]) => void): void
  onclose(handler: () => void): void
  /** Calls `handler` for each frame that arrives, pings included. */
  onFrame(handler: () => void): void
  /** Known after the start. Who has it can put the connection into a room, so it is neither shown nor logged. */
  readonly connectionId: string | undefined
  /** Why the API refused to negotiate. */
  readonly negotiateFailure: Failure | undefined
  /** Whether it was negotiated with a session that has been renewed since. */
  readonly hasOldSession: boolean
}

/** An unstarted connection. */
export function createHubConnection(api: Api): HubConnection {
  const client = new ApiHttpClient(api)
  let onFrame: () => void = () => undefined
  const connection = new HubConnectionBuilder()
    .withUrl(`${api.baseUrl}/api`, { httpClient: client, withCredentials: false })
    .withHubProtocol(withFrameHandler(() => { onFrame() }))
    // The client logs the WebSocket URL, which contains the access token.
    .configureLogging(LogLevel.None)
    .build()
  return {
    start: () => connection.start(),
    stop: () => connection.stop(),
    on: (target, handler) => { connection.on(target, handler) },
    onclose: (handler) => { connection.onclose(handler) },
    onFrame: (handler) => { onFrame = handler },
    get connectionId() { return connection.connectionId ?? undefined },
    get negotiateFailure() { return client.failure },
    get hasOldSession() { return client.usedToken !== api.token },
  }
}

/** The JSON protocol. Every frame of every transport goes through its parser, pings too, which the client does not report otherwise. */
function withFrameHandler(onFrame: () => void): IHubProtocol {
  const protocol = new JsonHubProtocol()
  return {
    name: protocol.name,
    version: protocol.version,
    transferFormat: protocol.transferFormat,
    parseMessages(input, logger) {
      onFrame()
      // With LogLevel.None there is nothing to log.
      return typeof input === 'string' ? protocol.parseMessages(input, logger) : []
    },
    writeMessage: message => protocol.writeMessage(message),
  }
}

/**
 * Sends the sign-in token with requests to the API, and with no other request.
 * The client's `headers` option would also send it to the SignalR service.
 */
class ApiHttpClient extends HttpClient {
  failure: Failure | undefined
  /** The token of the last call to the API. */
  usedToken: string | undefined
  private readonly defaultClient = new DefaultHttpClient(NullLogger.instance)

  constructor(private readonly api: Api) {
    super()
  }

  override async send(request: HttpRequest): Promise<HttpResponse> {
    const { url = '', method = 'POST' } = request
    if (!url.startsWith(`${this.api.baseUrl}/api/`)) return this.defaultClient.send(request)
    const result = await callApi(withTokenHandler(this.api, (token) => { this.usedToken = token }), url, { method })
    if (result.kind === 'ok') return new HttpResponse(200, 'OK', result.text)
    this.failure = result.failure
    throw new Error('the API refused to negotiate')
  }
}

/** `api`, which calls `onToken` with each token that is sent. */
function withTokenHandler(api: Api, onToken: (token: string | undefined) => void): Api {
  return {
    baseUrl: api.baseUrl,
    renewal: api.renewal,
    observer: api.observer,
    get token() {
      const { token } = api
      onToken(token)
      return token
    },
  }
}
