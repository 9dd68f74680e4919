// Publishes a message through our API: `POST /api/messages`.
import { callApi, parseJson } from './api'
import type { Api } from './api'
import { parseMessage } from './message'
import type { Draft, Sender } from './message'
import type { PostResult } from './outbox'

/** Sends `draft`. The sender is whoever the API finds the token to belong to; only a guest's nickname is ours to tell. */
export async function postMessage(api: Api, me: Sender, draft: Draft): Promise<PostResult> {
  const answer = await callApi(api, `${api.baseUrl}/api/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      id: draft.id,
      text: draft.text,
      recipient: draft.audience.kind === 'person' ? draft.audience.userId : undefined,
      nickname: me.kind === 'guest' ? me.nickname : undefined,
    }),
  })
  if (answer.kind === 'failed') return answer
  const message = parseMessage(parseJson(answer.text))
  // An accepted message comes back as published. Anything else was answered by somebody else, a proxy for one.
  if (message?.id === draft.id) return { kind: 'published', message }
  return { kind: 'failed', failure: { kind: 'later', why: 'the answer did not come from the chat’s API.', afterMs: undefined, reached: true } }
}
