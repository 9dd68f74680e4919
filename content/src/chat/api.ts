// Calls the chat's HTTP API and classifies failed calls by what can be done about them.
// The sign-in token is sent here and nowhere else; redirects are not followed, so that it reaches no other host.

/** The address of the API, and the token of the signed-in user. */
export interface Api {
  readonly baseUrl: string
  /** Read for each call: a renewed session has another token. */
  readonly token: string | undefined
  readonly renewal?: Renewal | undefined
  readonly observer?: CallObserver | undefined
}

/** Renews the session of the signed-in user. Neither function rejects. */
export interface Renewal {
  readonly token: string
  /** A renewal that calls have to wait for because the session has ended, or `undefined`. */
  awaited(): Promise<unknown> | undefined
  /** Renews the session after a 401 to a call with `usedToken`. `ended`: the user has to sign in again. `unknown`: it may work later. */
  renew(usedToken: string): Promise<'renewed' | 'ended' | 'unknown'>
}

/** The API for one person: `renewal` of the session of a signed-in user, `undefined` for a guest. */
export function createApi(baseUrl: string, renewal: Renewal | undefined, observer: CallObserver): Api {
  return { baseUrl, renewal, observer, get token() { return renewal?.token } }
}

/** Is told of each call: when it starts, and by the returned function, how it ended. */
export interface CallObserver {
  begin(): (failure: Failure | undefined) => void
}

/** An automatic retry may succeed; `retryAfterMs` is the delay that the API asked for. */
export interface TransientFailure {
  readonly kind: 'transient'
  readonly reason: string
  readonly retryAfterMs: number | undefined
  /** Whether this person made too many calls: error code `rate_limited`. Other calls of the person would be refused as well. */
  readonly isRateLimited?: boolean
  /** Whether what was asked for may have been done all the same. */
  readonly mayBeDone?: boolean
}

/** Why a call failed. `reason` is shown to the user. */
export type Failure =
  /** `code` is that of the API's error, if it sent one. */
  | { readonly kind: 'unauthenticated', readonly code?: string | undefined }
  | TransientFailure
  /** An automatic retry would fail again; `canRetry` offers a manual one. `status` is the HTTP status code. */
  | { readonly kind: 'rejected', readonly status: number, readonly code?: string | undefined, readonly reason: string, readonly canRetry: boolean }

export type ApiResult = { kind: 'ok', text: string } | { kind: 'failed', failure: Failure }

/** A success response without the expected body, such as the login page of a captive portal. */
export const UNEXPECTED_RESPONSE: Failure = { kind: 'transient', reason: 'the response did not come from the chat.', retryAfterMs: undefined, mayBeDone: true }
const UNREACHABLE: Failure = { kind: 'transient', reason: 'the chat cannot be reached.', retryAfterMs: undefined, mayBeDone: true }
/** A 401 while the session could not be renewed: nothing was done. */
const NOT_RENEWED: Failure = { kind: 'transient', reason: 'your sign-in cannot be checked.', retryAfterMs: undefined }

const CALL_TIMEOUT_MS = 15_000
const MAX_RETRY_AFTER_SECONDS = 300

/** Calls `url`, which must belong to `api`. After a 401 it renews the session and calls once more. Never rejects. */
export async function callApi(api: Api, url: string, init: RequestInit): Promise<ApiResult> {
  const awaited = api.renewal?.awaited()
  if (awaited !== undefined) await awaited
  const { token } = api
  const result = await call(api, token, url, init)
  if (result.kind === 'ok' || result.failure.kind !== 'unauthenticated' || token === undefined || api.renewal === undefined) return result
  const renewed = await api.renewal.renew(token)
  switch (renewed) {
    case 'renewed':
      return call(api, api.token, url, init)
    case 'ended':
      return result
    case 'unknown':
      return { kind: 'failed', failure: NOT_RENEWED }
  }
}

async function call({ observer }: Api, token: string | undefined, url: string, init: RequestInit): Promise<ApiResult> {
  const end = observer?.begin()
  const result = await fetchText(token, url, init)
  end?.(result.kind === 'failed' ? result.failure : undefined)
  return result
}

async function fetchText(token: string | undefined, url: string, init: RequestInit): Promise<ApiResult> {
  const headers = new Headers(init.headers)
  if (token !== undefined) headers.set('X-ZUMO-AUTH', token)
  try {
    const response = await fetch(url, {
      ...init,
      headers,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'manual',
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    })
    const text = await response.text()
    return response.ok ? { kind: 'ok', text } : { kind: 'failed', failure: failureOf(response, text) }
  } catch {
    return { kind: 'failed', failure: UNREACHABLE }
  }
}

/** Why a call failed, to complete a sentence. */
export function reasonOf(failure: Failure): string {
  return failure.kind === 'unauthenticated' ? 'please sign in first.' : failure.reason
}

/** `text` as JSON, or `undefined` when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function failureOf(response: Response, text: string): Failure {
  const { status } = response
  const error = parseError(text)
  // App Service may redirect an unauthenticated call to its sign-in page.
  if (status === 401 || response.type === 'opaqueredirect') return { kind: 'unauthenticated', code: error?.code }
  const retryAfterMs = parseRetryAfter(response.headers.get('Retry-After'))
  switch (status) {
    case 413:
      return { kind: 'rejected', status, reason: 'it is too long.', canRetry: false }
    case 429:
      return { kind: 'transient', reason: 'too many requests at once.', retryAfterMs, isRateLimited: error?.code === 'rate_limited' }
    case 408:
      return { kind: 'transient', reason: 'the chat did not answer in time.', retryAfterMs }
  }
  if (status < 500) return { kind: 'rejected', status, code: error?.code, reason: error?.message ?? `the chat refused it (${status}).`, canRetry: false }
  if (error?.code === 'not_configured' || error?.code === 'upstream_rejected') return { kind: 'rejected', status, code: error.code, reason: error.message, canRetry: true }
  // The handler says so before it does anything; other answers may come after, or from a host that has lost the handler's answer.
  const mayBeDone = status !== 503 || error?.code !== 'unavailable'
  return { kind: 'transient', reason: 'the chat is busy or restarting.', retryAfterMs, mayBeDone }
}

/** The API's error body: `{"error":{"code":…,"message":…}}`. `undefined` for other bodies, such as a proxy's page. */
function parseError(text: string): { code: string, message: string } | undefined {
  const raw = parseJson(text)
  if (typeof raw !== 'object' || raw === null || !('error' in raw)) return undefined
  const { error } = raw
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return undefined
  const { code, message } = error
  return typeof code === 'string' && typeof message === 'string' ? { code, message } : undefined
}

/** `Retry-After` in milliseconds. Dates are ignored: they would require synchronized clocks. */
function parseRetryAfter(header: string | null): number | undefined {
  if (header === null || !/^\d+$/.test(header)) return undefined
  return Math.min(Number(header), MAX_RETRY_AFTER_SECONDS) * 1000
}
