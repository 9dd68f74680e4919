// Saves in the browser, for the next visit of a person, how far the threads were read and which rooms were entered. The messages are
// not here: the history has them, on every device.
import { parseJson } from './api'
import { isPosition, parseRoomName } from './message'
import type { Sender } from './message'
import { MAX_MARKS } from './threads'
import type { ReadMarks } from './threads'
import type { TabStorage } from '../tabStorage'

export interface Visit {
  readonly marks: ReadMarks
  /** Names of rooms. */
  readonly rooms: readonly string[]
}

const VISITS = 'chat.visits'
/** The most people whose visits are kept. */
const MAX_VISITS = 10

/** Loads what was saved for `me`. */
export function loadVisit(storage: TabStorage, me: Sender): Visit {
  return parseVisit(loadAll(storage)[ownerOf(me)])
}

/** Saves how far `me` has read. What another tab has saved stays: of one thread, the mark that is further. */
export function saveMarks(storage: TabStorage, me: Sender, marks: ReadMarks): void {
  change(storage, me, ({ marks: saved, rooms }) => {
    const others = Object.entries(saved).filter(([key]) => marks[key] === undefined)
    const own = Object.entries(marks).map(([key, position]) => [key, max(position, saved[key])] as const)
    return { marks: Object.fromEntries([...others, ...own].slice(-MAX_MARKS)), rooms }
  })
}

/** Saves that `me` has entered a room. */
export function rememberRoom(storage: TabStorage, me: Sender, room: string): void {
  change(storage, me, ({ marks, rooms }) => ({ marks, rooms: [...rooms.filter(other => other !== room), room] }))
}

/** Saves that `me` has left a room. */
export function forgetRoom(storage: TabStorage, me: Sender, room: string): void {
  change(storage, me, ({ marks, rooms }) => ({ marks, rooms: rooms.filter(other => other !== room) }))
}

/** Changes what is saved for `me`: other tabs save, too. Errors of the storage are ignored. */
function change(storage: TabStorage, me: Sender, work: (visit: Visit) => Visit): void {
  const { [ownerOf(me)]: own, ...others } = loadAll(storage)
  const kept = Object.entries(others).slice(1 - MAX_VISITS)
  try {
    storage.setItem(VISITS, JSON.stringify(Object.fromEntries([...kept, [ownerOf(me), work(parseVisit(own))]])))
  } catch {
    // Out of space: the visit is still in memory.
  }
}

/** Removes what was saved for `me`. */
export function forgetVisit(storage: TabStorage, me: Sender): void {
  const others = Object.entries(loadAll(storage)).filter(([owner]) => owner !== ownerOf(me))
  if (others.length === 0) storage.removeItem(VISITS)
  else storage.setItem(VISITS, JSON.stringify(Object.fromEntries(others)))
}

/** Differs from all user ids for a guest. */
function ownerOf(me: Sender): string {
  return me.kind === 'user' ? `user ${me.userId}` : 'guest'
}

function max(one: string | undefined, other: string | undefined): string {
  return [one ?? '', other ?? ''].sort().at(-1) ?? ''
}

function loadAll(storage: TabStorage): Readonly<Partial<Record<string, unknown>>> {
  const raw = parseJson(storage.getItem(VISITS) ?? '{}')
  return typeof raw === 'object' && raw !== null ? { ...raw } : {}
}

function parseVisit(raw: unknown): Visit {
  if (typeof raw !== 'object' || raw === null || !('marks' in raw && 'rooms' in raw)) return { marks: {}, rooms: [] }
  const { marks, rooms } = raw
  const positions = typeof marks === 'object' && marks !== null ? Object.entries(marks).filter(([, position]) => position === '' || isPosition(position)) : []
  const names = Array.isArray(rooms) ? rooms.flatMap((name: unknown) => (typeof name === 'string' ? parseRoomName(name) ?? [] : [])) : []
  return { marks: Object.fromEntries(positions), rooms: names }
}
