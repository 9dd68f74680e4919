// Chat messages: the types, the parser for the hub's target `newMessage`, and the rules for text that is sent.

/** The recipients of a message. */
export type Audience = { readonly kind: 'everyone' } | { readonly kind: 'person', readonly userId: string }

/** The sender of a message. A user is authenticated; a guest's nickname is not verified. */
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

/** A message that is not published yet. All retries have the same id. */
export interface Draft {
  readonly id: string
  readonly audience: Audience
  readonly text: string
}

/** The API's limit for a text, in code points after trimming. */
export const MAX_TEXT_LENGTH = 4096
/** The API's limit for a nickname, in code points. */
export const MAX_NICKNAME_LENGTH = 64

const ID = /^[\w-]{1,64}$/

/** Parses a message; returns `undefined` if any field is invalid. */
export function parseMessage(raw: unknown): Message | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const id = stringField(raw, 'id')
  const userId = stringField(raw, 'sender')
  const body = stringField(raw, 'text')
  const sentAt = new Date(stringField(raw, 'sentAt') ?? NaN)
  if (id === undefined || !ID.test(id) || userId === undefined || !body || Number.isNaN(sentAt.getTime())) return undefined
  const audience = parseAudience(raw)
  if (audience === undefined) return undefined
  // A private message from a guest is invalid: it could not be answered.
  if (userId === '' && audience.kind === 'person') return undefined
  const sender: Sender = userId === '' ? { kind: 'guest', nickname: nickname(raw) } : { kind: 'user', userId }
  return { id, sender, audience, text: body, sentAt }
}

/** Identifies a message. It includes the sender, because other people can send a message with an id they have seen. */
export function messageKey(message: Pick<Message, 'id' | 'sender'>): string {
  return message.sender.kind === 'user' ? `${message.id} ${message.sender.userId}` : message.id
}

/** Removes what the API rejects: control characters except tab and line feed, and white space at both ends. */
export function sanitizeText(raw: string): string {
  return raw.replace(/\r\n?/g, '\n').replace(/[^\P{Cc}\t\n]/gu, '').trim()
}

/** The length of `text` in code points, as the API counts. */
export function countCodePoints(text: string): number {
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
  const given = stringField(raw, 'nickname')?.trim()
  return given === '' ? undefined : given
}

function stringField(raw: object, name: string): string | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(raw, name)?.value
  return typeof value === 'string' ? value : undefined
}
