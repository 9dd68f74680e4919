// What this deployment offers, from `GET /api/features`, so that the page shows nothing that would be refused.
import { onScopeDispose, readonly, shallowRef } from 'vue'
import { callApi, parseJson, UNEXPECTED_RESPONSE } from './chat/api'
import type { Failure } from './chat/api'
import { backoff } from './chat/backoff'
import type { Config } from './config'

/** The features that the page uses. */
export interface Features {
  /** Whether people who are not signed in may chat. */
  readonly guests: boolean
  /** Whether signed-in users get access tokens for Azure Communication Services. */
  readonly accessTokens: boolean
}

export type FeaturesResult = { kind: 'known', features: Features } | { kind: 'failed', failure: Failure }

/** Asks the API; no sign-in is needed. */
export async function fetchFeatures(config: Config): Promise<FeaturesResult> {
  const api = { baseUrl: config.apiBaseUrl, token: undefined }
  const result = await callApi(api, `${config.apiBaseUrl}/api/features`, { method: 'GET' })
  if (result.kind === 'failed') return result
  const features = parseFeatures(parseJson(result.text))
  return features === undefined ? { kind: 'failed', failure: UNEXPECTED_RESPONSE } : { kind: 'known', features }
}

/** Parses the body of `GET /api/features`; further features are ignored. */
export function parseFeatures(raw: unknown): Features | undefined {
  if (typeof raw !== 'object' || raw === null || !('guests' in raw) || !('accessTokens' in raw)) return undefined
  const { guests, accessTokens } = raw
  return typeof guests === 'boolean' && typeof accessTokens === 'boolean' ? { guests, accessTokens } : undefined
}

/**
 * The features, `undefined` until there is a first answer. A call that failed for the moment is repeated until the effect scope ends;
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
    if (answer.kind === 'known' || answer.failure.kind !== 'transient') return
    failures += 1
    timer = setTimeout(() => void load(), Math.max(answer.failure.retryAfterMs ?? 0, backoff(failures, Math.random())))
  }

  onScopeDispose(() => {
    isClosed = true
    clearTimeout(timer)
  })

  return { result: readonly(result), load }
}
