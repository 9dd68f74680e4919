// Reads and changes the history through the API: `GET` and `DELETE /api/history`, `DELETE /api/messages/{at}`.
import { callApi, parseJson, UNEXPECTED_RESPONSE } from './api'
import type { Api, Failure } from './api'
import { isPosition, parseMessage } from './message'
import type { Audience, Message } from './message'

/** A history: of the messages to everyone, of a room, or of the person's private messages; of these `with` reads those with one person. */
export type HistorySource =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'room', readonly room: string }
  | { readonly kind: 'private', readonly with?: string | undefined }

/** Which page to read: the newest one, or the one that ends at `before` or begins at `after`. */
export type PageCursor = { readonly before?: string | undefined } | { readonly after: string }

/** A page: all messages from `before`, where `null` is the beginning of the history, to `after`, where `null` is that of an empty one. */
export interface HistoryPage {
  /** The oldest first. */
  readonly messages: readonly Message[]
  readonly before: string | null
  readonly after: string | null
  /** Whether there are more messages in the direction of the page. */
  readonly hasMore: boolean
  /** Whether messages at the position of the request are no longer kept. */
  readonly isLost: boolean
}

/** `invalid-cursor`: the position is not one of this history. */
export type PageResult = { readonly kind: 'page', readonly page: HistoryPage } | { readonly kind: 'invalid-cursor' } | { readonly kind: 'failed', readonly failure: Failure }

export type DoneResult = { readonly kind: 'done' } | { readonly kind: 'failed', readonly failure: Failure }

/** Reads a page of at most `limit` messages, which is 1 to 100. */
export async function fetchPage(api: Api, source: HistorySource, cursor: PageCursor, limit: number): Promise<PageResult> {
  const url = new URL(`${api.baseUrl}/api/history`)
  if (source.kind === 'room') url.searchParams.set('room', source.room)
  if (source.kind === 'private') url.searchParams.set('private', '')
  if (source.kind === 'private' && source.with !== undefined) url.searchParams.set('with', source.with)
  for (const [name, position] of Object.entries(cursor)) if (position !== undefined) url.searchParams.set(name, position)
  url.searchParams.set('limit', String(limit))
  const result = await callApi(api, url.href, { method: 'GET' })
  if (result.kind === 'failed') {
    const { failure } = result
    return failure.kind === 'rejected' && failure.code === 'invalid_cursor' ? { kind: 'invalid-cursor' } : result
  }
  const page = parsePage(parseJson(result.text))
  // Positions say nothing in another history.
  const isOfAnother = page?.messages.some(({ audience }) => !contains(source, audience)) === true
  return page === undefined || isOfAnother ? { kind: 'failed', failure: UNEXPECTED_RESPONSE } : { kind: 'page', page }
}

/** Whether messages to `audience` are in this history. */
function contains(source: HistorySource, audience: Audience): boolean {
  switch (source.kind) {
    case 'everyone':
      return audience.kind === 'everyone'
    case 'room':
      return audience.kind === 'room' && audience.room === source.room
    case 'private':
      return audience.kind === 'person'
  }
}

/** Parses the body of `GET /api/history`. Messages that cannot be read are left out. */
export function parsePage(raw: unknown): HistoryPage | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  if (!('messages' in raw && 'before' in raw && 'after' in raw && 'more' in raw && 'lost' in raw)) return undefined
  const { messages, before, after, more, lost } = raw
  if (!Array.isArray(messages) || !isPositionOrNull(before) || !isPositionOrNull(after)) return undefined
  if (typeof more !== 'boolean' || typeof lost !== 'boolean') return undefined
  return { messages: messages.flatMap(message => parseMessage(message) ?? []), before, after, hasMore: more, isLost: lost }
}

/** Erases the person's copies of private messages. */
export async function erasePrivate(api: Api): Promise<DoneResult> {
  return done(await callApi(api, `${api.baseUrl}/api/history?private=`, { method: 'DELETE' }))
}

/** Removes an own message to everyone or in a room. */
export async function removeMessage(api: Api, at: string, room: string | undefined): Promise<DoneResult> {
  const url = new URL(`${api.baseUrl}/api/messages/${encodeURIComponent(at)}`)
  if (room !== undefined) url.searchParams.set('room', room)
  return done(await callApi(api, url.href, { method: 'DELETE' }))
}

function done(result: Awaited<ReturnType<typeof callApi>>): DoneResult {
  return result.kind === 'failed' ? result : { kind: 'done' }
}

function isPositionOrNull(raw: unknown): raw is string | null {
  return raw === null || isPosition(raw)
}
