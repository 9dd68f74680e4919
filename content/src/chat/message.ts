// A chat message: what arrives on the hub's target `newMessage`, and what a person may send.
// Nothing that arrives is believed to have a shape; whatever does not fit the contract is dropped, not repaired.

/** Who may read a message. */
export type Audience = { readonly kind: 'everyone' } | { readonly kind: 'person', readonly userId: string }

/** Who wrote it. Only a user's name was checked by the sign-in; a guest may call himself anything. */
export type Sender =
  | { readonly kind: 'user', readonly userId: string }
  | { readonly kind: 'guest', readonly nickname: string | undefined }

export interface Message {
  readonly id: string
  readonly sender: Sender
  readonly audience: Audience
  readonly text: string
  readonly sentAt: Date
}

/** A message that is not published yet. The id is made once, so that every retry is recognised as the same message. */
export interface Draft {
  readonly id: string
  readonly audience: Audience
  readonly text: string
}

/** The API's limit, in Unicode code points after trimming. */
export const MAX_TEXT = 4096
/** The API's limit for a nickname, in code points. */
export const MAX_NICKNAME = 64

const ID = /^[\w-]{1,64}$/

/** The message in `raw`, or `undefined` when it does not fit the contract. */
export function parseMessage(raw: unknown): Message | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const id = text(raw, 'id')
  const userId = text(raw, 'sender')
  const body = text(raw, 'text')
  const sentAt = new Date(text(raw, 'sentAt') ?? NaN)
  if (id === undefined || !ID.test(id) || userId === undefined || !body || Number.isNaN(sentAt.getTime())) return undefined
  const audience = parseAudience(raw)
  if (audience === undefined) return undefined
  // Private messages need a verified sender; one without would end in a thread that cannot be answered.
  if (userId === '' && audience.kind === 'person') return undefined
  const sender: Sender = userId === '' ? { kind: 'guest', nickname: nickname(raw) } : { kind: 'user', userId }
  return { id, sender, audience, text: body, sentAt }
}

/** Tells messages apart. The id alone would not do: anyone may send an id he has seen, but only under his own name. */
export function keyOf(message: Pick<Message, 'id' | 'sender'>): string {
  return message.sender.kind === 'user' ? `${message.id} ${message.sender.userId}` : message.id
}

/** `raw` without what the API refuses: control characters but tab and line feed, and white space at both ends. */
export function tidy(raw: string): string {
  return raw.replace(/\r\n?/g, '\n').replace(/[^\P{Cc}\t\n]/gu, '').trim()
}

/** How long the API finds `text`: in code points, so that an emoji of one code point counts once. */
export function lengthOf(text: string): number {
  let length = 0
  for (let at = 0; at < text.length; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) length += 1
  return length
}

function parseAudience(raw: object): Audience | undefined {
  const recipient = 'recipient' in raw ? raw.recipient : undefined
  const isPrivate = 'isPrivate' in raw && raw.isPrivate === true
  if (recipient === undefined || recipient === null || recipient === '') return isPrivate ? undefined : { kind: 'everyone' }
  return isPrivate && typeof recipient === 'string' ? { kind: 'person', userId: recipient } : undefined
}

function nickname(raw: object): string | undefined {
  const given = text(raw, 'nickname')?.trim()
  return given === '' ? undefined : given
}

function text(raw: object, name: string): string | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(raw, name)?.value
  return typeof value === 'string' ? value : undefined
}
