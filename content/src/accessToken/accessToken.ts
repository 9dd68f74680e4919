// Access tokens for Azure Communication Services: `POST /api/access-token` gets one, `DELETE` ends all of one's own.
// What is in a token is the service's business: nothing here reads it, and nothing keeps it.
import { callApi, parseJson } from '../chat/api'
import type { Api, Failure } from '../chat/api'

export interface AccessToken {
  /** The secret itself. It may be shown and copied when asked for; it never goes into an address, a log or a store. */
  readonly token: string
  readonly endsAt: Date
  /** Who one is to Azure Communication Services. */
  readonly userId: string
  /** What it is good for, by the service's names; `undefined` where the API does not say it. */
  readonly scopes: readonly string[] | undefined
}

export type Issued = { kind: 'issued', token: AccessToken } | { kind: 'failed', failure: Failure }
export type Revoked = { kind: 'revoked' } | { kind: 'failed', failure: Failure }

/** Asks for a token. The API knows by the sign-in whose; there is nothing to tell it. */
export async function issueToken(api: Api): Promise<Issued> {
  const answer = await callApi(api, addressOf(api), { method: 'POST' })
  if (answer.kind === 'failed') return answer
  const token = parseAccessToken(parseJson(answer.text))
  if (token !== undefined) return { kind: 'issued', token }
  return { kind: 'failed', failure: { kind: 'later', why: 'the answer did not come from the chat’s API.', afterMs: undefined, reached: true } }
}

/** Ends all tokens of whoever is signed in, also those of other pages and apps. */
export async function revokeTokens(api: Api): Promise<Revoked> {
  const answer = await callApi(api, addressOf(api), { method: 'DELETE' })
  return answer.kind === 'failed' ? answer : { kind: 'revoked' }
}

/** The token in `raw`, or `undefined` when it does not fit the contract. */
export function parseAccessToken(raw: unknown): AccessToken | undefined {
  if (typeof raw !== 'object' || raw === null || !('token' in raw) || !('expiresOn' in raw) || !('user' in raw)) return undefined
  const { token, expiresOn, user } = raw
  if (typeof user !== 'object' || user === null || !('communicationUserId' in user)) return undefined
  const userId = user.communicationUserId
  const endsAt = parseTime(expiresOn)
  if (typeof token !== 'string' || token === '' || typeof userId !== 'string' || userId === '' || endsAt === undefined) return undefined
  return { token, endsAt, userId, scopes: 'scopes' in raw ? parseScopes(raw.scopes) : undefined }
}

function addressOf({ baseUrl }: Api): string {
  return `${baseUrl}/api/access-token`
}

/** RFC 3339, which is always with an offset. Browsers need not understand more than three digits of a second. */
function parseTime(raw: unknown): Date | undefined {
  if (typeof raw !== 'string' || !/(?:Z|[+-]\d\d:\d\d)$/.test(raw)) return undefined
  const time = new Date(raw.replace(/(\.\d{3})\d+/, '$1'))
  return Number.isNaN(time.getTime()) ? undefined : time
}

function parseScopes(raw: unknown): readonly string[] | undefined {
  return Array.isArray(raw) && raw.length > 0 && raw.every(scope => typeof scope === 'string') ? raw : undefined
}
