// Calls for access tokens of Azure Communication Services: `POST /api/access-token` issues one, `DELETE` revokes all of the user.
// The token is opaque here, and it is never stored.
import { callApi, parseJson, UNEXPECTED_RESPONSE } from '../chat/api'
import type { Api, Failure } from '../chat/api'

export interface AccessToken {
  /** A secret: shown and copied on request, never in an address, a log or a storage. */
  readonly token: string
  readonly expiresOn: Date
  /** The user's id in Azure Communication Services. */
  readonly userId: string
  /** The scopes of the token, or `undefined` if the API does not report them. */
  readonly scopes: readonly string[] | undefined
}

export type IssueResult = { kind: 'issued', token: AccessToken } | { kind: 'failed', failure: Failure }
export type RevokeResult = { kind: 'revoked' } | { kind: 'failed', failure: Failure }

/** Requests a token for the signed-in user. */
export async function issueToken(api: Api): Promise<IssueResult> {
  const result = await callApi(api, endpoint(api), { method: 'POST' })
  if (result.kind === 'failed') return result
  const token = parseAccessToken(parseJson(result.text))
  return token === undefined ? { kind: 'failed', failure: UNEXPECTED_RESPONSE } : { kind: 'issued', token }
}

/** Revokes all tokens of the signed-in user, also those of other pages and apps. */
export async function revokeTokens(api: Api): Promise<RevokeResult> {
  const result = await callApi(api, endpoint(api), { method: 'DELETE' })
  return result.kind === 'failed' ? result : { kind: 'revoked' }
}

/** Parses the response; returns `undefined` if a field is missing or invalid. */
export function parseAccessToken(raw: unknown): AccessToken | undefined {
  if (typeof raw !== 'object' || raw === null || !('token' in raw) || !('expiresOn' in raw) || !('user' in raw)) return undefined
  const { token, user } = raw
  if (typeof user !== 'object' || user === null || !('communicationUserId' in user)) return undefined
  const userId = user.communicationUserId
  const expiresOn = parseTime(raw.expiresOn)
  if (typeof token !== 'string' || token === '' || typeof userId !== 'string' || userId === '' || expiresOn === undefined) return undefined
  return { token, expiresOn, userId, scopes: 'scopes' in raw ? parseScopes(raw.scopes) : undefined }
}

function endpoint({ baseUrl }: Api): string {
  return `${baseUrl}/api/access-token`
}

/** Parses RFC 3339. Digits after the milliseconds are cut off, because browsers need not accept them. */
function parseTime(raw: unknown): Date | undefined {
  if (typeof raw !== 'string' || !/(?:Z|[+-]\d\d:\d\d)$/.test(raw)) return undefined
  const time = new Date(raw.replace(/(\.\d{3})\d+/, '$1'))
  return Number.isNaN(time.getTime()) ? undefined : time
}

function parseScopes(raw: unknown): readonly string[] | undefined {
  return Array.isArray(raw) && raw.length > 0 && raw.every(scope => typeof scope === 'string') ? raw : undefined
}
