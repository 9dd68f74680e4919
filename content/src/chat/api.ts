// Calls to our own functions, and what a failed call means for the person who waits for it.
// The sign-in token goes out here and nowhere else; redirects are not followed, so it cannot travel to another host.

/** Our own API, and the token of the one who is signed in. */
export interface Api {
  readonly baseUrl: string
  readonly token: string | undefined
}

/** Why a call did not work, by what can be done about it. `why` is for people. */
export type Failure =
  | { readonly kind: 'unauthenticated' }
  /** Worth another try by itself; `afterMs` when the API named a time. `reached` tells a busy API from none at all. */
  | { readonly kind: 'later', readonly why: string, readonly afterMs: number | undefined, readonly reached: boolean }
  /** Not worth a try by itself. `again` when a person may want to try once more without changing anything; `status` is HTTP's. */
  | { readonly kind: 'refused', readonly status: number, readonly why: string, readonly again: boolean }

export type Answer = { kind: 'ok', text: string } | { kind: 'failed', failure: Failure }

const PATIENCE_MS = 15_000
const LONGEST_RETRY_AFTER_S = 300

/** Calls `url`, which must be one of our own API's. Never rejects. */
export async function callApi(api: Api, url: string, init: RequestInit): Promise<Answer> {
  const headers = new Headers(init.headers)
  if (api.token !== undefined) headers.set('X-ZUMO-AUTH', api.token)
  try {
    const response = await fetch(url, {
      ...init,
      headers,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const text = await response.text()
    return response.ok ? { kind: 'ok', text } : { kind: 'failed', failure: failureOf(response, text) }
  } catch {
    return { kind: 'failed', failure: { kind: 'later', why: 'the network or the API is away.', afterMs: undefined, reached: false } }
  }
}

/** `text` as JSON, or `undefined` when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function failureOf(response: Response, text: string): Failure {
  const { status } = response
  // App Service may answer a call without a session with a redirect to its sign-in page.
  if (status === 401 || response.type === 'opaqueredirect') return { kind: 'unauthenticated' }
  const error = parseError(text)
  const afterMs = retryAfter(response.headers.get('Retry-After'))
  switch (status) {
    case 413:
      return { kind: 'refused', status, why: 'it is too long.', again: false }
    case 429:
      return { kind: 'later', why: 'too many calls at once.', afterMs, reached: true }
    case 408:
      return { kind: 'later', why: 'the API did not answer in time.', afterMs, reached: true }
  }
  if (status < 500) return { kind: 'refused', status, why: error?.message ?? `the API refused it (${status}).`, again: false }
  if (error?.code === 'not_configured' || error?.code === 'upstream_rejected') return { kind: 'refused', status, why: error.message, again: true }
  return { kind: 'later', why: 'the chat’s service is busy or restarting.', afterMs, reached: true }
}

/** The API's error body: `{"error":{"code":…,"message":…}}`. Anything else, such as a proxy's page, is `undefined`. */
function parseError(text: string): { code: string, message: string } | undefined {
  const raw = parseJson(text)
  if (typeof raw !== 'object' || raw === null || !('error' in raw)) return undefined
  const { error } = raw
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return undefined
  const { code, message } = error
  return typeof code === 'string' && typeof message === 'string' ? { code, message } : undefined
}

/** The header in milliseconds. Only the form in seconds is read: a date would trust two clocks to agree. */
function retryAfter(header: string | null): number | undefined {
  if (header === null || !/^\d+$/.test(header)) return undefined
  return Math.min(Number(header), LONGEST_RETRY_AFTER_S) * 1000
}
