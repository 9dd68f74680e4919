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
const LINE_BREAK = /\r\n?|[\v\f\u0085\u2028\u2029]/g
const CONTROL = /[^\P{Cc}\t\n]/gu
const UNPAIRED_SURROGATE = /\p{Cs}/gu
const WHITE_SPACE = /\p{White_Space}/u
/** A character that draws something by itself: no space, no mark, no default-ignorable character and none of the blank symbols. */
const VISIBLE = /[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}\p{M}\u2800\u{1d159}\u{13441}\u{13442}]/u

/**
 * Parses a message; returns `undefined` if any field is invalid. A guest is recognized by `isGuest`, which a `sender` such as
 * `Zed (guest)` is for pages that do not read it; messages of an older API have an empty `sender` instead.
 */
export function parseMessage(raw: unknown): Message | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const id = stringField(raw, 'id')
  const userId = stringField(raw, 'sender')
  const text = sanitizeText(stringField(raw, 'text') ?? '')
  const sentAt = new Date(stringField(raw, 'sentAt') ?? NaN)
  if (id === undefined || !ID.test(id) || userId === undefined || !isVisible(text) || Number.isNaN(sentAt.getTime())) return undefined
  const audience = parseAudience(raw)
  if (audience === undefined) return undefined
  if (userId !== '' && !('isGuest' in raw && raw.isGuest === true)) {
    return isVisible(userId) ? { id, sender: { kind: 'user', userId }, audience, text, sentAt } : undefined
  }
  // A private message from a guest is invalid: it could not be answered.
  return audience.kind === 'everyone' ? { id, sender: { kind: 'guest', nickname: nickname(raw) }, audience, text, sentAt } : undefined
}

/** Identifies a message. It includes the sender, because other people can send a message with an id they have seen. */
export function messageKey(message: Pick<Message, 'id' | 'sender'>): string {
  return message.sender.kind === 'user' ? `${message.id} ${message.sender.userId}` : message.id
}

/** The name to show for a sender. */
export function nameOf(sender: Sender): string {
  return sender.kind === 'user' ? sender.userId : sender.nickname ?? 'Guest'
}

/**
 * Text as the API publishes it: every line break is a line feed, white space at both ends is removed, and so are characters that
 * the API rejects, which are control characters except tab. Cases: `tests/data/message-texts.json`.
 */
export function sanitizeText(raw: string): string {
  return trimWhiteSpace(raw.replace(LINE_BREAK, '\n').replace(CONTROL, '').replace(UNPAIRED_SURROGATE, '\ufffd'))
}

/** A nickname as the API accepts it: in one line, and without characters that change the order of the text after it. */
export function sanitizeNickname(raw: string): string {
  return trimWhiteSpace(sanitizeText(raw).replace(/[\t\n]/g, ' ').replace(/[\u202a-\u202e\u2066-\u2069]/g, ''))
}

/** Whether a reader sees anything of `text`. The API refuses texts and names of which nothing is visible. */
export function isVisible(text: string): boolean {
  return VISIBLE.test(text)
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
  const given = sanitizeNickname(stringField(raw, 'nickname') ?? '')
  return isVisible(given) ? given : undefined
}

/** Unlike `String.trim` it keeps U+FEFF, which is not white space. An anchored regular expression would be quadratic. */
function trimWhiteSpace(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && WHITE_SPACE.test(text.charAt(start))) start += 1
  while (end > start && WHITE_SPACE.test(text.charAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function stringField(raw: object, name: string): string | undefined {
  const value: unknown = Object.getOwnPropertyDescriptor(raw, name)?.value
  return typeof value === 'string' ? value : undefined
}
