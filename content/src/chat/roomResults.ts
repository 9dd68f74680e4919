// Answers about rooms and the people in them, as the page shows them. A `reason` completes a sentence, such as `the chat cannot be reached.`

/** The rooms that the person can enter and is not in. */
export type RoomsResult =
  | { readonly kind: 'loading' }
  | { readonly kind: 'failed', readonly reason: string }
  | { readonly kind: 'known', readonly rooms: readonly string[] }

/** Who is in a room. `people` are user ids; `more`: there are further people. */
export type MembersResult =
  | { readonly kind: 'loading' }
  | { readonly kind: 'failed', readonly reason: string }
  | { readonly kind: 'known', readonly people: readonly string[], readonly guests: number, readonly more: boolean }
