// Renews the session of App Service through `GET /.auth/refresh` before it ends, and when a call says that it has ended.
// https://learn.microsoft.com/azure/app-service/configure-authentication-oauth-tokens#extend-session-token-expiration-grace-period
import { callApi, parseJson } from './chat/api'
import type { CallObserver, Renewal } from './chat/api'
import { backoff } from './chat/backoff'
import type { Config } from './config'
import { fetchCaller, parseToken } from './session'
import type { Session } from './session'

type RenewalResult = Awaited<ReturnType<Renewal['renew']>>

export interface SessionRenewalOptions {
  readonly config: Config
  readonly session: Session
  readonly observer?: CallObserver | undefined
  /** Called once: the session has ended and cannot be renewed, or the renewed one is of another user. */
  readonly onEnded: () => void
}

/** When a token was issued and when it expires, by the clock of App Service, in milliseconds since the epoch. */
export interface TokenTimes {
  readonly issuedAt: number | undefined
  readonly expiresAt: number
}

/** Of an opaque token, whose lifetime is not known; sessions of App Service last eight hours. */
const OPAQUE_RENEWAL_MS = 3_600_000
/** The longest delay of a timer in a browser is 24 days. */
const MAX_DELAY_MS = 24 * 3_600_000
/** How often the time is looked at: timers stand still while a computer sleeps. */
const TICK_INTERVAL_MS = 30_000

/** The times in a JWT; `undefined` for an opaque token. The signature is not checked: App Service does that. */
export function parseTokenTimes(token: string): TokenTimes | undefined {
  const payload = token.split('.')[1]
  if (payload === undefined) return undefined
  try {
    const raw: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')))
    if (typeof raw !== 'object' || raw === null || !('exp' in raw) || !isSeconds(raw.exp)) return undefined
    const issuedAt = 'iat' in raw && isSeconds(raw.iat) && raw.iat < raw.exp ? raw.iat * 1000 : undefined
    return { issuedAt, expiresAt: raw.exp * 1000 }
  } catch {
    return undefined
  }
}

/**
 * Milliseconds until the renewal: three quarters of the lifetime. `isNew`: the token was issued just now, so the clock of this device, which
 * may be wrong, is not needed.
 */
export function renewalDelay(times: TokenTimes | undefined, now: number, isNew: boolean): number {
  if (times === undefined) return OPAQUE_RENEWAL_MS
  const { issuedAt, expiresAt } = times
  if (issuedAt === undefined) return clampDelay(isNew && expiresAt <= now ? OPAQUE_RENEWAL_MS : (expiresAt - now) * 0.75)
  const lifetime = expiresAt - issuedAt
  return clampDelay(isNew ? lifetime * 0.75 : issuedAt + lifetime * 0.75 - now)
}

export class SessionRenewal implements Renewal {
  /** The token to send; it changes with each renewal, and stays after a sign-out, so that no call is taken for one of a guest. */
  token: string
  /** When to renew, in milliseconds since the epoch. */
  private dueAt: number
  private times: TokenTimes | undefined
  private failures = 0
  /** Whether App Service has refused to renew this token. The session may last until its end all the same. */
  private isRefused = false
  private underWay: Promise<RenewalResult> | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private isClosed = false

  /** Renews the session of the user with `userId` until `close`. `token` is that of the session. */
  constructor(token: string, private readonly userId: string, private readonly options: SessionRenewalOptions) {
    this.token = token
    this.times = parseTokenTimes(token)
    this.dueAt = Date.now() + renewalDelay(this.times, Date.now(), false)
    this.planTick()
  }

  /** Renews now if it is due; to be called when the page comes back. */
  check(): void {
    if (!this.isClosed && !this.isRefused && Date.now() >= this.dueAt) void this.start()
    this.planTick()
  }

  /** After the expiry calls wait for the renewal: a call with an expired token could be taken for one of a guest. */
  awaited(): Promise<unknown> | undefined {
    this.check()
    return this.times !== undefined && Date.now() >= this.times.expiresAt ? this.underWay : undefined
  }

  async renew(usedToken: string): Promise<RenewalResult> {
    if (this.isClosed) return 'ended'
    // Renewed since the call was sent.
    if (this.token !== usedToken) return 'renewed'
    const result = await this.start()
    if (result === 'ended') this.end()
    return result
  }

  /** Stops renewing; a token that still arrives is not stored. */
  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
  }

  private end(): void {
    if (this.isClosed) return
    this.close()
    this.options.onEnded()
  }

  /** Starts a renewal, or joins the one under way. */
  private start(): Promise<RenewalResult> {
    this.underWay ??= this.refresh().finally(() => {
      this.underWay = undefined
      this.planTick()
    })
    return this.underWay
  }

  private async refresh(): Promise<RenewalResult> {
    const result = await this.fetchRenewedToken()
    const { session } = this.options
    // Signed out meanwhile.
    if (session.token !== this.token) this.close()
    if (this.isClosed) return 'ended'
    const now = Date.now()
    switch (result.kind) {
      case 'renewed':
        session.renew(result.token)
        this.token = result.token
        this.failures = 0
        this.isRefused = false
        this.times = parseTokenTimes(result.token)
        this.dueAt = now + renewalDelay(this.times, now, true)
        return 'renewed'
      case 'refused':
        this.isRefused = true
        return 'ended'
      case 'other-user':
        this.end()
        return 'ended'
      case 'unknown':
        this.failures += 1
        this.dueAt = now + Math.max(result.retryAfterMs ?? 0, backoff(this.failures, Math.random()))
        return 'unknown'
    }
  }

  /** Asks for a new token, and whose it is. */
  private async fetchRenewedToken(): Promise<RenewedToken> {
    const { config, observer } = this.options
    const api = { baseUrl: config.apiBaseUrl, token: this.token, observer }
    const result = await callApi(api, `${api.baseUrl}/.auth/refresh`, { method: 'GET' })
    if (result.kind === 'failed') {
      return result.failure.kind === 'transient' ? { kind: 'unknown', retryAfterMs: result.failure.retryAfterMs } : { kind: 'refused' }
    }
    const raw = parseJson(result.text)
    const token = typeof raw === 'object' && raw !== null && 'authenticationToken' in raw ? parseToken(raw.authenticationToken) : undefined
    // Such as the page of a captive portal.
    if (token === undefined) return { kind: 'unknown', retryAfterMs: undefined }
    const identity = await fetchCaller({ ...api, token })
    switch (identity.kind) {
      case 'user':
        return identity.user.userId === this.userId ? { kind: 'renewed', token } : { kind: 'other-user' }
      case 'signed-out':
        return { kind: 'refused' }
      case 'unknown':
        return { kind: 'unknown', retryAfterMs: undefined }
    }
  }

  private planTick(): void {
    clearTimeout(this.timer)
    if (this.isClosed || this.isRefused || this.underWay !== undefined) return
    const delay = Math.min(TICK_INTERVAL_MS, Math.max(0, this.dueAt - Date.now()))
    this.timer = setTimeout(() => { this.check() }, delay)
  }
}

type RenewedToken =
  | { readonly kind: 'renewed', readonly token: string }
  | { readonly kind: 'refused' | 'other-user' }
  | { readonly kind: 'unknown', readonly retryAfterMs: number | undefined }

function clampDelay(delay: number): number {
  return Math.min(MAX_DELAY_MS, Math.max(0, delay))
}

function isSeconds(raw: unknown): raw is number {
  return typeof raw === 'number' && Number.isFinite(raw) && raw >= 0
}
