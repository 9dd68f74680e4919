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
      nickname: me.kind === 'guest' ? me.nickname : undefined,
    }),
  })
  if (result.kind === 'failed') return result
  const raw = parseJson(result.text)
  const message = parseMessage(raw)
  // The response to an accepted message is the message as published.
  if (message?.id !== draft.id) return { kind: 'failed', failure: UNEXPECTED_RESPONSE }
  return { kind: 'published', message, recipientOnline: parseRecipientOnline(raw) }
}

/** `recipientOnline` of the response; `undefined` if it is unknown whether the recipient is online. */
function parseRecipientOnline(raw: unknown): boolean | undefined {
  if (typeof raw !== 'object' || raw === null || !('recipientOnline' in raw)) return undefined
  return typeof raw.recipientOnline === 'boolean' ? raw.recipientOnline : undefined
}
