// Rooms through the API: which there are, who is in one, and entering and leaving with a connection.
import { callApi, parseJson, UNEXPECTED_RESPONSE } from './api'
import type { Api, Failure } from './api'
import type { DoneResult } from './historyApi'
import { parseRoomName } from './message'

/** The room that stands for the messages to everyone. */
export const EVERYONE_ROOM = 'everyone'

export interface Members {
  readonly people: readonly string[]
  /** Number of connections without a user. */
  readonly guests: number
  /** Whether there are others. */
  readonly hasMore: boolean
}

export type Result<T> = { readonly kind: 'known', readonly value: T } | { readonly kind: 'failed', readonly failure: Failure }

/** The names of the rooms there are, without everyone. */
export async function fetchRooms(api: Api): Promise<Result<readonly string[]>> {
  const result = await callApi(api, `${api.baseUrl}/api/rooms`, { method: 'GET' })
  return parsed(result, (raw) => {
    if (!('rooms' in raw) || !Array.isArray(raw.rooms)) return undefined
    return raw.rooms.flatMap((name: unknown) => (typeof name === 'string' ? parseRoomName(name) ?? [] : []))
  })
}

/** Who is in a room. */
export async function fetchMembers(api: Api, room: string): Promise<Result<Members>> {
  const result = await callApi(api, `${roomUrl(api, room)}/members`, { method: 'GET' })
  return parsed(result, (raw) => {
    if (!('people' in raw && 'guests' in raw && 'more' in raw) || !Array.isArray(raw.people) || typeof raw.guests !== 'number') return undefined
    return { people: raw.people.filter((name: unknown) => typeof name === 'string'), guests: raw.guests, hasMore: raw.more === true }
  })
}

/** Enters a room with a connection, which gets the messages of the room until it leaves or ends. */
export async function enterRoom(api: Api, room: string, connectionId: string): Promise<DoneResult> {
  return changeMembership(api, 'PUT', room, connectionId)
}

/** Leaves a room with a connection. */
export async function leaveRoom(api: Api, room: string, connectionId: string): Promise<DoneResult> {
  return changeMembership(api, 'DELETE', room, connectionId)
}

async function changeMembership(api: Api, method: 'PUT' | 'DELETE', room: string, connectionId: string): Promise<DoneResult> {
  const result = await callApi(api, `${roomUrl(api, room)}/members/${encodeURIComponent(connectionId)}`, { method })
  return result.kind === 'failed' ? result : { kind: 'done' }
}

function roomUrl(api: Api, room: string): string {
  return `${api.baseUrl}/api/rooms/${encodeURIComponent(room)}`
}

function parsed<T>(result: Awaited<ReturnType<typeof callApi>>, parse: (raw: object) => T | undefined): Result<T> {
  if (result.kind === 'failed') return result
  const raw = parseJson(result.text)
  const value = typeof raw === 'object' && raw !== null ? parse(raw) : undefined
  return value === undefined ? { kind: 'failed', failure: UNEXPECTED_RESPONSE } : { kind: 'known', value }
}
