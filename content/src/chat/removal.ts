// The parser for the hub's target `messageRemoved`: a sender has removed a message to everyone or in a room.
import { isPosition, parseRoomName } from './message'
import type { Audience } from './message'

/** Where the removed message is in the history. */
export interface Removal {
  readonly audience: Exclude<Audience, { kind: 'person' }>
  readonly at: string
}

/** Parses `{"room":"games","at":"00000017.0000000689"}`, without `room` for a message to everyone. */
export function parseRemoval(raw: unknown): Removal | undefined {
  if (typeof raw !== 'object' || raw === null || !('at' in raw) || !isPosition(raw.at)) return undefined
  const name = 'room' in raw ? raw.room : undefined
  if (name === undefined || name === null || name === '') return { audience: { kind: 'everyone' }, at: raw.at }
  const room = typeof name === 'string' ? parseRoomName(name) : undefined
  return room === undefined ? undefined : { audience: { kind: 'room', room }, at: raw.at }
}
