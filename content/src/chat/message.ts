// Chat messages: the types, the parser for the hub's target `newMessage`, and the rules for text that is sent.

/** The recipients of a message. The name of a room is in lower case. */
export type Audience =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'room', readonly room: string }
  | { readonly kind: 'person', readonly userId: string }

/** Where a message is in the history: its line begins at `at` and ends at `next`. Positions of one history compare as texts. */
export interface Place {
  readonly at: string
  readonly next: string
}

/** The sender of a message. A user is authenticated; a guest's nickname is not verified. */
export type Sender =
  | { readonly kind: 'user', readonly userId: string }
  | { readonly kind: 'guest', readonly nickname: string | undefined }

export interface Message {
  readonly id: string
  readonly sender: Sender
  readonly audience: Audience
  /** Empty if the message was removed. */
  readonly text: string
  readonly sentAt: Date
  /** `undefined` if the message is not in the history. */
  readonly place?: Place | undefined
  /** Whether its sender has removed it. */
  readonly isRemoved?: boolean | undefined
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
const ROOM = /^[\w-]{1,64}$/
const POSITION = /^\d{8}\.\d{10}$/
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
  const isRemoved = 'removed' in raw && raw.removed === true
  if (id === undefined || !ID.test(id) || userId === undefined || Number.isNaN(sentAt.getTime())) return undefined
  if (!isRemoved && !isVisible(text)) return undefined
  const audience = parseAudience(raw)
  if (audience === undefined) return undefined
  const message = { id, audience, text: isRemoved ? '' : text, sentAt, place: parsePlace(raw), isRemoved }
  if (userId !== '' && !('isGuest' in raw && raw.isGuest === true)) {
    return isVisible(userId) ? { ...message, sender: { kind: 'user', userId } } : undefined
  }
  // A private message from a guest is invalid: it could not be answered.
  return audience.kind === 'person' ? undefined : { ...message, sender: { kind: 'guest', nickname: nickname(raw) } }
}

/** Whether `raw` is a position in a history. */
export function isPosition(raw: unknown): raw is string {
  return typeof raw === 'string' && POSITION.test(raw)
}

/** The name of a room as the API compares it, or `undefined` if there can be no such room. */
export function parseRoomName(raw: string): string | undefined {
  const room = raw.trim().toLowerCase()
  return ROOM.test(room) && room !== 'everyone' ? room : undefined
}

/**
 * Identifies a message of a thread: two messages with the same key are the same one, sent twice. It includes the sender and the text,
 * because other people can send a message with an id they have seen.
 */
export function messageKey({ id, sender, text }: Pick<Message, 'id' | 'sender' | 'text'>): string {
  // User ids may contain spaces: without a mark, those of "ann" and of "ann smith" could be taken for the beginning of a text.
  return `${id} ${sender.kind === 'user' ? sender.userId.replace(/[\\ ]/g, '\\$&') : ''} ${text}`
}

/** Whether both are the same user, or guests with the same nickname. */
export function isSamePerson(one: Sender, other: Sender | undefined): boolean {
  return one.kind === other?.kind && nameOf(one) === nameOf(other)
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
  if (recipient !== undefined && recipient !== null && recipient !== '') {
    return isPrivate && typeof recipient === 'string' ? { kind: 'person', userId: recipient } : undefined
  }
  if (isPrivate) return undefined
  const name = stringField(raw, 'room') ?? ''
  if (name === '') return { kind: 'everyone' }
  const room = parseRoomName(name)
  return room === undefined ? undefined : { kind: 'room', room }
}

function parsePlace(raw: object): Place | undefined {
  const [at, next] = [stringField(raw, 'at'), stringField(raw, 'next')]
  return isPosition(at) && isPosition(next) && at < next ? { at, next } : undefined
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
