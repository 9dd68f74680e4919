// What this deployment offers, from `GET /api/features`, so that the page shows nothing that would be refused.
import { onScopeDispose, readonly, shallowRef } from 'vue'
import { callApi, parseJson, UNEXPECTED_RESPONSE } from './chat/api'
import type { Failure } from './chat/api'
import { backoff } from './chat/backoff'
import { parseRoomName } from './chat/message'
import type { Config } from './config'

/** The features that the page uses. */
export interface Features {
  /** Whether people who are not signed in may chat. */
  readonly guests: boolean
  /** Whether messages to everyone and in rooms are kept. */
  readonly history: boolean
  /** Whether private messages are kept. */
  readonly privateHistory: boolean
  /** The names of the rooms, `*` for any name, or `undefined` where there is neither a room nor who is here. */
  readonly rooms: readonly string[] | '*' | undefined
  /** Whether signed-in users get access tokens for Azure Communication Services. */
  readonly accessTokens: boolean
}

/** What an older API has, which knows nothing of features: messages, and perhaps guests. */
export const BASIC_FEATURES: Features = { guests: true, history: false, privateHistory: false, rooms: undefined, accessTokens: false }

export type FeaturesResult = { kind: 'known', features: Features } | { kind: 'failed', failure: Failure }

/** Asks the API; no sign-in is needed. */
export async function fetchFeatures(config: Config): Promise<FeaturesResult> {
  const api = { baseUrl: config.apiBaseUrl, token: undefined }
  const result = await callApi(api, `${config.apiBaseUrl}/api/features`, { method: 'GET' })
  if (result.kind === 'failed') {
    const { failure } = result
    // An older API has no such path.
    return failure.kind === 'rejected' && failure.status === 404 ? { kind: 'known', features: BASIC_FEATURES } : result
  }
  const features = parseFeatures(parseJson(result.text))
  return features === undefined ? { kind: 'failed', failure: UNEXPECTED_RESPONSE } : { kind: 'known', features }
}

/** Parses the body of `GET /api/features`; further features are ignored. */
export function parseFeatures(raw: unknown): Features | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  if (!('guests' in raw && 'history' in raw && 'privateHistory' in raw && 'rooms' in raw && 'accessTokens' in raw)) return undefined
  const { guests, history, privateHistory, accessTokens } = raw
  const rooms = parseRooms(raw.rooms)
  if (typeof guests !== 'boolean' || typeof history !== 'boolean' || typeof privateHistory !== 'boolean' || typeof accessTokens !== 'boolean') return undefined
  return rooms === undefined ? undefined : { guests, history, privateHistory, rooms, accessTokens }
}

function parseRooms(raw: unknown): readonly string[] | '*' | undefined {
  if (raw === '*') return raw
  return Array.isArray(raw) ? raw.flatMap((name: unknown) => (typeof name === 'string' ? parseRoomName(name) ?? [] : [])) : undefined
}

/**
 * The features, `undefined` until there is a first answer. A call that may succeed later is repeated until the effect scope ends;
 * `load` repeats it now.
 */
export function useFeatures(fetchNow: () => Promise<FeaturesResult>) {
  const result = shallowRef<FeaturesResult>()
  let failures = 0
  let isLoading = false
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  async function load(): Promise<void> {
    if (isLoading) return
    isLoading = true
    clearTimeout(timer)
    const answer = await fetchNow()
    isLoading = false
    if (isClosed) return
    result.value = answer
    if (answer.kind === 'known') return
    const { failure } = answer
    if (failure.kind === 'unauthenticated' || (failure.kind === 'rejected' && !failure.canRetry)) return
    failures += 1
    const retryAfterMs = failure.kind === 'transient' ? failure.retryAfterMs : undefined
    timer = setTimeout(() => void load(), Math.max(retryAfterMs ?? 0, backoff(failures, Math.random())))
  }

  onScopeDispose(() => {
    isClosed = true
    clearTimeout(timer)
  })

  return { result: readonly(result), load }
}
