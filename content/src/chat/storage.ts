// What a person wrote and has not sent, kept in the tab over a reload or a new sign-in.
// It belongs to whoever wrote it: words of one person never come back under the name of another.
import { parseJson } from './api'
import type { Audience, Draft, Sender } from './message'
import type { TabStore } from '../tabStorage'

export interface Kept {
  readonly unsent: readonly Draft[]
  readonly typed: readonly { readonly audience: Audience, readonly text: string }[]
}



const UNSENT = 'chat.unsent'
const TYPED = 'chat.typed'

/** Keeps the messages that wait to be sent. A store that is full or forbidden costs the keeping, not the chat. */
export function keepUnsent(store: TabStore, me: Sender, unsent: Kept['unsent']): void {
  keep(store, UNSENT, { owner: ownerOf(me), items: unsent })
}

/** Keeps what stands in the composers. */
export function keepTyped(store: TabStore, me: Sender, typed: Kept['typed']): void {
  keep(store, TYPED, { owner: ownerOf(me), items: typed })
}

/** What was kept for `me`. A guest who has signed in since is still the one who wrote it. */
export function readKept(store: TabStore, me: Sender): Kept {
  return {
    unsent: read(store, UNSENT, me).flatMap(raw => parseDraft(raw) ?? []),
    typed: read(store, TYPED, me).flatMap(raw => parseTyped(raw) ?? []),
  }
}

/** Forgets it all: the person leaves. */
export function forgetKept(store: TabStore): void {
  store.removeItem(UNSENT)
  store.removeItem(TYPED)
}

function ownerOf(me: Sender): string {
  return me.kind === 'user' ? me.userId : ''
}

function keep(store: TabStore, name: string, value: { owner: string, items: readonly unknown[] }): void {
  try {
    if (value.items.length === 0) store.removeItem(name)
    else store.setItem(name, JSON.stringify(value))
  } catch {
    // Out of space: the page itself still holds the words.
  }
}

function read(store: TabStore, name: string, me: Sender): unknown[] {
  const raw = parseJson(store.getItem(name) ?? 'null')
  if (typeof raw !== 'object' || raw === null || !('owner' in raw) || !('items' in raw)) return []
  const mine = raw.owner === '' || raw.owner === ownerOf(me)
  return mine && Array.isArray(raw.items) ? raw.items : []
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
  return raw.kind === 'person' && 'userId' in raw && typeof raw.userId === 'string' ? { kind: 'person', userId: raw.userId } : undefined
}
