// Publishes a message through the API: `POST /api/messages`.
import { callApi, parseJson, UNEXPECTED_RESPONSE } from './api'
import type { Api } from './api'
import { parseMessage } from './message'
import type { Draft, Sender } from './message'
import type { PostResult } from './outbox'

/** Sends `draft`. The API takes a user's name from the token; only a guest's nickname is in the body. */
export async function postMessage(api: Api, me: Sender, draft: Draft): Promise<PostResult> {
  const result = await callApi(api, `${api.baseUrl}/api/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      id: draft.id,
      text: draft.text,
      recipient: draft.audience.kind === 'person' ? draft.audience.userId : undefined,
      room: draft.audience.kind === 'room' ? draft.audience.room : undefined,
      nickname: me.kind === 'guest' ? me.nickname : undefined,
    }),
  })
  if (result.kind === 'failed') return result
  const raw = parseJson(result.text)
  const message = parseMessage(raw)
  // The response to an accepted message is the message as published.
  if (message?.id !== draft.id) {
    api.observer?.begin()(UNEXPECTED_RESPONSE)
    return { kind: 'failed', failure: UNEXPECTED_RESPONSE }
  }
  return { kind: 'published', message, recipientOnline: booleanField(raw, 'recipientOnline'), isLive: booleanField(raw, 'live') }
}

/** A field of the response; `undefined` if it is missing, as from an older API. */
function booleanField(raw: unknown, name: string): boolean | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const value: unknown = Object.getOwnPropertyDescriptor(raw, name)?.value
  return typeof value === 'boolean' ? value : undefined
}
