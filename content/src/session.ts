// The tab's session: the sign-in token that App Service returns in the URL fragment, or a guest's nickname.
// It is in sessionStorage, not in a cookie or localStorage, so that two tabs can be two people.
import { callApi, parseJson, UNEXPECTED_RESPONSE } from './chat/api'
import type { Api, Failure } from './chat/api'
import type { Sender } from './chat/message'
import type { Config } from './config'
import type { TabStorage } from './tabStorage'

/** The result of a sign-in, as found in the URL fragment. */
export type SignInResult = { kind: 'none' } | { kind: 'token', token: string } | { kind: 'invalid' }

/** A signed-in user: the id that others see and write to, and the name to show to the user. */
export interface User {
  readonly userId: string
  readonly displayName: string
}

/**
 * The result of `GET /api/me`. `nameless`: App Service has lost the name of the sign-in. `unknown`: the call failed; `reason` is shown to
 * the user.
 */
export type Identity =
  | { kind: 'user', user: User }
  | { kind: 'signed-out', nameless: boolean }
  | { kind: 'unknown', reason: string }

const TOKEN = 'chat.token'
const USER = 'chat.user'
const DISPLAY_NAME = 'chat.display-name'
const NICKNAME = 'chat.nickname'
const SIGNING_IN = 'chat.signing-in'

/** Parses the URL fragment of App Service: `#token=` and URL-encoded JSON `{"authenticationToken":…,"user":…}`. */
export function parseSignInFragment(fragment: string): SignInResult {
  const encoded = /^#(?:.*&)?token=([^&]*)/.exec(fragment)?.[1]
  if (encoded === undefined) return { kind: 'none' }
  try {
    const raw: unknown = JSON.parse(decodeURIComponent(encoded))
    if (typeof raw === 'object' && raw !== null && 'authenticationToken' in raw) {
      const token = parseToken(raw.authenticationToken)
      if (token !== undefined) return { kind: 'token', token }
    }
  } catch {
    // Not JSON, or not URL-encoded.
  }
  return { kind: 'invalid' }
}

/** A token of App Service. It becomes a header value: visible ASCII only. */
export function parseToken(raw: unknown): string | undefined {
  return typeof raw === 'string' && /^[\x21-\x7e]+$/.test(raw) ? raw : undefined
}

/**
 * Reads the sign-in result and removes it from the address bar and the history. If there is one, `link` takes its place: the query and
 * fragment from before the sign-in.
 */
export function takeSignInResult(location: Location, history: History, link: string | undefined): SignInResult {
  const result = parseSignInFragment(location.hash)
  if (result.kind !== 'none') history.replaceState(null, '', location.pathname + (link ?? location.search))
  return result
}

/**
 * The address to return to after a sign-in: the folder of index.html, without file name, query and fragment. App Service redirects only to
 * addresses that it lists, so this has to be the same wherever the page is opened from.
 */
export function pageAddress(location: Pick<Location, 'href'>): string {
  return new URL('.', location.href).href
}

/** The query and fragment of the address, which a sign-in does not return to. A sign-in result is not part of it. */
export function linkOf(location: Pick<Location, 'search' | 'hash'>): string {
  return location.search + (parseSignInFragment(location.hash).kind === 'none' ? location.hash : '')
}

/** The URL of the sign-in page; after signing in it redirects to `page` with a token in the fragment. */
export function signInUrl(config: Config, page: string): string {
  const url = new URL(`${config.apiBaseUrl}/.auth/login/${encodeURIComponent(config.authProvider)}`)
  url.searchParams.set('session_mode', 'token')
  url.searchParams.set('post_login_redirect_url', page)
  return url.href
}

/** Asks the API for the user of the token. */
export function fetchIdentity(config: Config, token: string): Promise<Identity> {
  return fetchCaller({ baseUrl: config.apiBaseUrl, token })
}

/** Asks the API for the user of its token, which is renewed if necessary. */
export async function fetchCaller(api: Api): Promise<Identity> {
  const result = await callApi(api, `${api.baseUrl}/api/me`, { method: 'GET' })
  if (result.kind === 'failed') {
    const { failure } = result
    return failure.kind === 'rejected' && failure.status === 404 ? fetchSignIn(api) : identityOfFailure(failure)
  }
  const user = parseUser(parseJson(result.text))
  return user === undefined ? identityOfFailure(UNEXPECTED_RESPONSE) : { kind: 'user', user }
}

/** Asks App Service, for an older API that does not know who calls it. */
async function fetchSignIn(api: Api): Promise<Identity> {
  const result = await callApi(api, `${api.baseUrl}/.auth/me`, { method: 'GET' })
  if (result.kind === 'failed') return identityOfFailure(result.failure)
  const raw = parseJson(result.text)
  const first: unknown = Array.isArray(raw) ? raw[0] : undefined
  if (typeof first !== 'object' || first === null || !('user_id' in first)) return { kind: 'signed-out', nameless: true }
  const user = parseUser({ userId: first.user_id })
  return user === undefined ? { kind: 'signed-out', nameless: true } : { kind: 'user', user }
}

function identityOfFailure(failure: Failure): Identity {
  if (failure.kind === 'unauthenticated') return { kind: 'signed-out', nameless: failure.code === 'session_without_name' }
  return { kind: 'unknown', reason: failure.reason }
}

/** Parses the body of `GET /api/me`. Without a display name, the user id is shown. */
export function parseUser(raw: unknown): User | undefined {
  if (typeof raw !== 'object' || raw === null || !('userId' in raw)) return undefined
  const { userId } = raw
  if (typeof userId !== 'string' || userId === '') return undefined
  const displayName = 'displayName' in raw && typeof raw.displayName === 'string' && raw.displayName !== '' ? raw.displayName : userId
  return { userId, displayName }
}

/** The user or guest of this tab. */
export class Session {
  constructor(private readonly storage: TabStorage) {}

  get token(): string | undefined {
    return this.read(TOKEN)
  }

  /** The stored user or guest, without a check that the token is still valid. */
  get me(): Sender | undefined {
    const userId = this.read(USER)
    if (this.token !== undefined) return userId === undefined ? undefined : { kind: 'user', userId }
    const nickname = this.read(NICKNAME)
    return nickname === undefined ? undefined : { kind: 'guest', nickname }
  }

  /** The name to show for the stored user or guest. */
  get displayName(): string {
    const userId = this.read(USER)
    return (userId === undefined ? this.nickname : this.read(DISPLAY_NAME) ?? userId) ?? ''
  }

  get nickname(): string | undefined {
    return this.read(NICKNAME)
  }

  /** Records that this tab starts a sign-in, and the query and fragment to restore after it. */
  markSignInStarted(link: string): void {
    this.storage.setItem(SIGNING_IN, link)
  }

  /**
   * The recorded query and fragment if this tab has started a sign-in, else `undefined`; resets it. It protects against links with a
   * foreign `#token=…`, which would sign the user in under a different name.
   */
  takeSignInStarted(): string | undefined {
    const link = this.read(SIGNING_IN)
    this.storage.removeItem(SIGNING_IN)
    return link
  }

  signIn(token: string, { userId, displayName }: User): void {
    this.storage.setItem(TOKEN, token)
    this.storage.setItem(USER, userId)
    this.storage.setItem(DISPLAY_NAME, displayName)
  }

  /** Replaces the token of the same user by a renewed one. */
  renew(token: string): void {
    this.storage.setItem(TOKEN, token)
  }

  enterAsGuest(nickname: string): void {
    this.storage.removeItem(TOKEN)
    this.storage.removeItem(USER)
    this.storage.removeItem(DISPLAY_NAME)
    this.storage.setItem(NICKNAME, nickname)
  }

  /** Removes everything that this class has stored. */
  clear(): void {
    for (const name of [TOKEN, USER, DISPLAY_NAME, NICKNAME, SIGNING_IN]) this.storage.removeItem(name)
  }

  private read(name: string): string | undefined {
    return this.storage.getItem(name) ?? undefined
  }
}

/** Ends the session in App Service. Errors are ignored: the token is already removed here. */
export async function signOut(config: Config, token: string): Promise<void> {
  await callApi({ baseUrl: config.apiBaseUrl, token }, `${config.apiBaseUrl}/.auth/logout`, { method: 'GET', keepalive: true })
}
