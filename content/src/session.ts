// Who this tab is: the sign-in token that App Service hands back in the address, or a guest's nickname.
// Both live in sessionStorage, not in a cookie and not in localStorage, so that two tabs can be two people.
import { callApi, parseJson } from './chat/api'
import type { Sender } from './chat/message'
import type { Config } from './config'
import type { TabStore } from './tabStorage'

/** What the address brought back from the sign-in. */
export type Returned = { kind: 'nothing' } | { kind: 'token', token: string } | { kind: 'unusable' }

/** What `/.auth/me` says. `unknown` is a call that failed, which does not mean signed out. */
export type Identity = { kind: 'user', userId: string } | { kind: 'nobody' } | { kind: 'unknown' }

const TOKEN = 'chat.token'
const USER = 'chat.user'
const NICKNAME = 'chat.nickname'
const ASKED = 'chat.signing-in'

/** Reads a location's fragment: `#token=` and URL-encoded JSON `{"authenticationToken":…,"user":…}`, as App Service writes it. */
export function parseFragment(fragment: string): Returned {
  const encoded = /^#(?:.*&)?token=([^&]*)/.exec(fragment)?.[1]
  if (encoded === undefined) return { kind: 'nothing' }
  try {
    const raw: unknown = JSON.parse(decodeURIComponent(encoded))
    if (typeof raw === 'object' && raw !== null && 'authenticationToken' in raw) {
      const token = raw.authenticationToken
      // It goes into a header, which takes visible ASCII only.
      if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return { kind: 'token', token }
    }
  } catch {
    // Not JSON, or not URL-encoded: told as unusable below.
  }
  return { kind: 'unusable' }
}

/** Takes the token out of the address bar and of the history before anything else can see it. */
export function takeReturned(location: Location, history: History): Returned {
  const returned = parseFragment(location.hash)
  if (returned.kind !== 'nothing') history.replaceState(null, '', location.pathname + location.search)
  return returned
}

/** Where to go to sign in, and to come back to `page` with a token in the fragment. */
export function signInUrl(config: Config, page: string): string {
  const url = new URL(`${config.apiBaseUrl}/.auth/login/${encodeURIComponent(config.authProvider)}`)
  url.searchParams.set('session_mode', 'token')
  url.searchParams.set('post_login_redirect_url', page)
  return url.href
}

/** Asks the platform who the token belongs to. */
export async function whoIs(config: Config, token: string): Promise<Identity> {
  const answer = await callApi({ baseUrl: config.apiBaseUrl, token }, `${config.apiBaseUrl}/.auth/me`, { method: 'GET' })
  if (answer.kind === 'failed') return { kind: answer.failure.kind === 'unauthenticated' ? 'nobody' : 'unknown' }
  return parseIdentities(parseJson(answer.text))
}

/** The answer of `/.auth/me`: an array of identities, the first of which counts; empty when nobody is signed in. */
export function parseIdentities(raw: unknown): Identity {
  if (!Array.isArray(raw)) return { kind: 'unknown' }
  const first: unknown = raw[0]
  if (first === undefined) return { kind: 'nobody' }
  if (typeof first !== 'object' || first === null || !('user_id' in first)) return { kind: 'unknown' }
  return typeof first.user_id === 'string' && first.user_id !== '' ? { kind: 'user', userId: first.user_id } : { kind: 'unknown' }
}

/** What this tab remembers of its person, over `storage` (the browser's sessionStorage). */
export class Session {
  constructor(private readonly storage: TabStore) {}

  get token(): string | undefined {
    return this.read(TOKEN)
  }

  /** The person, as far as known without asking anyone. */
  get me(): Sender | undefined {
    const userId = this.read(USER)
    if (this.token !== undefined) return userId === undefined ? undefined : { kind: 'user', userId }
    const nickname = this.read(NICKNAME)
    return nickname === undefined ? undefined : { kind: 'guest', nickname }
  }

  get nickname(): string | undefined {
    return this.read(NICKNAME)
  }

  /** Notes that the sign-in about to start was asked for here. */
  expectToken(): void {
    this.storage.setItem(ASKED, 'yes')
  }

  /**
   * Whether a token was asked for in this tab; asking twice answers no. A link to `#token=…` that somebody else made would
   * otherwise sign the reader in under a stranger's name.
   */
  takeExpectation(): boolean {
    const asked = this.read(ASKED) !== undefined
    this.storage.removeItem(ASKED)
    return asked
  }

  signIn(token: string, userId: string): void {
    this.storage.setItem(TOKEN, token)
    this.storage.setItem(USER, userId)
  }

  enterAs(nickname: string): void {
    this.storage.removeItem(TOKEN)
    this.storage.removeItem(USER)
    this.storage.setItem(NICKNAME, nickname)
  }

  /** Forgets the person and everything else this page keeps in the tab. */
  forget(): void {
    for (const name of [TOKEN, USER, NICKNAME, ASKED]) this.storage.removeItem(name)
  }

  private read(name: string): string | undefined {
    return this.storage.getItem(name) ?? undefined
  }
}

/** Ends the session on the platform's side too. Best effort: the token is already dropped here. */
export async function signOutOf(config: Config, token: string): Promise<void> {
  await callApi({ baseUrl: config.apiBaseUrl, token }, `${config.apiBaseUrl}/.auth/logout`, { method: 'GET', keepalive: true })
}
