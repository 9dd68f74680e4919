// Prepares the text of a message for display: finds web addresses, and limits what browsers are slow to lay out.
// The result is a list of pieces, not markup.

export interface Piece {
  readonly text: string
  /** An http or https address, or `undefined` for plain text. */
  readonly href: string | undefined
}

// Ends at white space, quotes, angle brackets and bidirectional control characters.
const URL_PATTERN = /\bhttps?:\/\/[^\s<>"'\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu

const TRAILING_PUNCTUATION = new Set('.,;:!?…*_~`')
// A longer host name does not exist: RFC 1035, section 2.3.4.
const MAX_HOST_LENGTH = 253
/** More addresses in one text stay plain text: each link is an element of the page. */
export const MAX_LINKS = 50

// More than any script puts on one character. A browser lays out a run of thousands in a second.
const LONG_RUN_OF_MARKS = /(\p{M}{32})\p{M}+/gu

const known = new WeakMap<{ readonly text: string }, readonly Piece[]>()

/** The text of `message` as it is shown. Each message is searched once, however often it comes into view. */
export function piecesOf(message: { readonly text: string }): readonly Piece[] {
  const pieces = known.get(message) ?? findLinks(limitMarks(message.text))
  known.set(message, pieces)
  return pieces
}

/** Keeps the first 32 combining marks of each character. */
export function limitMarks(text: string): string {
  return text.replace(LONG_RUN_OF_MARKS, '$1')
}

/** Splits `text` into plain text and addresses, in order; the concatenated pieces equal `text`. */
export function findLinks(text: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  let links = 0
  for (const { 0: found, index } of text.matchAll(URL_PATTERN)) {
    if (links === MAX_LINKS) break
    const address = trimPunctuation(found)
    const href = hrefOf(address)
    if (href === undefined) continue
    if (index > end) pieces.push({ text: text.slice(end, index), href: undefined })
    pieces.push({ text: address, href })
    links += 1
    end = index + address.length
  }
  if (end < text.length) pieces.push({ text: text.slice(end), href: undefined })
  return pieces
}

/** Removes trailing punctuation. A closing bracket stays if the address contains the opening one. */
function trimPunctuation(found: string): string {
  let unopenedRound = count(found, ')') - count(found, '(')
  let unopenedSquare = count(found, ']') - count(found, '[')
  let end = found.length
  for (; end > 0; end -= 1) {
    const last = found.charAt(end - 1)
    if (last === ')' && unopenedRound > 0) unopenedRound -= 1
    else if (last === ']' && unopenedSquare > 0) unopenedSquare -= 1
    else if (!TRAILING_PUNCTUATION.has(last)) break
  }
  return found.slice(0, end)
}

function count(text: string, character: string): number {
  return text.split(character).length - 1
}

function hrefOf(address: string): string | undefined {
  if (hostLength(address) > MAX_HOST_LENGTH || !URL.canParse(address)) return undefined
  const { protocol, hostname, username, password, href } = new URL(address)
  // "https://bank.example@evil.example" looks like one host and leads to another: no link.
  if (username !== '' || password !== '' || hostname === '') return undefined
  return protocol === 'https:' || protocol === 'http:' ? href : undefined
}

/** The length of what precedes the path. It is checked first, because some browsers convert long names in quadratic time. */
function hostLength(address: string): number {
  const start = address.indexOf('//') + 2
  const end = address.slice(start).search(/[/?#\\]/)
  return end === -1 ? address.length - start : end
}
