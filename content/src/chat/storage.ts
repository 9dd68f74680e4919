// Saves unsent messages and composer text in the tab, so that they survive a reload and a new sign-in.
// Each entry has an owner: the text of one person is never restored for another.
import { parseJson } from './api'
import type { Audience, Draft, Sender } from './message'
import type { TabStorage } from '../tabStorage'

export interface SavedText {
  readonly unsent: readonly Draft[]
  readonly typed: readonly { readonly audience: Audience, readonly text: string }[]
}

const UNSENT = 'chat.unsent'
const TYPED = 'chat.typed'

/** Saves the messages that wait to be sent. Errors of the storage are ignored. */
export function saveUnsent(storage: TabStorage, me: Sender, unsent: SavedText['unsent']): void {
  save(storage, UNSENT, { owner: ownerOf(me), items: unsent })
}

/** Saves the text in the composers. Errors of the storage are ignored. */
export function saveTyped(storage: TabStorage, me: Sender, typed: SavedText['typed']): void {
  save(storage, TYPED, { owner: ownerOf(me), items: typed })
}

/** Loads what was saved for `me`. A guest who has signed in since gets the guest's text. */
export function loadSaved(storage: TabStorage, me: Sender): SavedText {
  return {
    unsent: load(storage, UNSENT, me).flatMap(raw => parseDraft(raw) ?? []),
    typed: load(storage, TYPED, me).flatMap(raw => parseTyped(raw) ?? []),
  }
}

/** Removes everything that was saved. */
export function clearSaved(storage: TabStorage): void {
  storage.removeItem(UNSENT)
  storage.removeItem(TYPED)
}

/** To whom an entry of the tab belongs; all guests are one. */
export function ownerOf(me: Sender): string {
  return me.kind === 'user' ? me.userId : ''
}

function save(storage: TabStorage, name: string, value: { owner: string, items: readonly unknown[] }): void {
  try {
    if (value.items.length === 0) storage.removeItem(name)
    else storage.setItem(name, JSON.stringify(value))
  } catch {
    // Out of space: the text is still in memory.
  }
}

function load(storage: TabStorage, name: string, me: Sender): unknown[] {
  const raw = parseJson(storage.getItem(name) ?? 'null')
  if (typeof raw !== 'object' || raw === null || !('owner' in raw) || !('items' in raw)) return []
  const isMine = raw.owner === '' || raw.owner === ownerOf(me)
  return isMine && Array.isArray(raw.items) ? raw.items : []
}

function parseDraft(raw: unknown): Draft | undefined {
  const typed = parseTyped(raw)
  if (typed === undefined || typeof raw !== 'object' || raw === null || !('id' in raw)) return undefined
  return typeof raw.id === 'string' ? { id: raw.id, ...typed } : undefined
}

function parseTyped(raw: unknown): { audience: Audience, text: string } | undefined {
  if (typeof raw !== 'object' || raw === null || !('text' in raw) || !('audience' in raw)) return undefined
  const audience = parseAudience(raw.audience)
  return typeof raw.text === 'string' && audience !== undefined ? { audience, text: raw.text } : undefined
}

function parseAudience(raw: unknown): Audience | undefined {
  if (typeof raw !== 'object' || raw === null || !('kind' in raw)) return undefined
  if (raw.kind === 'everyone') return { kind: 'everyone' }
  if (raw.kind === 'room' && 'room' in raw && typeof raw.room === 'string') return { kind: 'room', room: raw.room }
  return raw.kind === 'person' && 'userId' in raw && typeof raw.userId === 'string' ? { kind: 'person', userId: raw.userId } : undefined
}
