// What the fragment of the page's address means: a room, the page with the access token, or the chat.
import { parseRoomName } from './chat/message'

export type Address = { readonly kind: 'chat' } | { readonly kind: 'room', readonly room: string } | { readonly kind: 'access-token' }

export const ACCESS_TOKEN_FRAGMENT = '#access-token'

/** Parses a fragment such as `#room=games`. */
export function parseFragment(fragment: string): Address {
  if (fragment === ACCESS_TOKEN_FRAGMENT) return { kind: 'access-token' }
  const room = parseRoomName(new URLSearchParams(fragment.slice(1)).get('room') ?? '')
  return room === undefined ? { kind: 'chat' } : { kind: 'room', room }
}

/** The fragment for a room, or none. */
export function fragmentOf(room: string | undefined): string {
  return room === undefined ? '' : `#room=${encodeURIComponent(room)}`
}
