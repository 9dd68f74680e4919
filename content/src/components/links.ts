// Finds web addresses in text. The result is a list of pieces, not markup.

export interface Piece {
  readonly text: string
  /** An http or https address, or `undefined` for plain text. */
  readonly href: string | undefined
}

// Ends at white space, quotes, angle brackets and bidirectional control characters.
const URL_PATTERN = /\bhttps?:\/\/[^\s<>"'\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu

/** Splits `text` into plain text and addresses, in order; the concatenated pieces equal `text`. */
export function findLinks(text: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const { 0: found, index } of text.matchAll(URL_PATTERN)) {
    const address = trimPunctuation(found)
    const href = hrefOf(address)
    if (href === undefined) continue
    if (index > end) pieces.push({ text: text.slice(end, index), href: undefined })
    pieces.push({ text: address, href })
    end = index + address.length
  }
  if (end < text.length) pieces.push({ text: text.slice(end), href: undefined })
  return pieces
}

/** Removes trailing punctuation. A closing bracket stays if the address contains the opening one. */
function trimPunctuation(found: string): string {
  let address = found
  for (;;) {
    const last = address.at(-1) ?? ''
    const closes = (last === ')' && !isBalanced(address, '(', ')')) || (last === ']' && !isBalanced(address, '[', ']'))
    if (!closes && !'.,;:!?…*_~`'.includes(last)) return address
    if (last === '') return address
    address = address.slice(0, -1)
  }
}

function isBalanced(address: string, opening: string, closing: string): boolean {
  return address.split(opening).length >= address.split(closing).length
}

function hrefOf(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined
  const { protocol, hostname, username, password, href } = new URL(address)
  // "https://bank.example@evil.example" looks like one host and leads to another: no link.
  if (username !== '' || password !== '' || hostname === '') return undefined
  return protocol === 'https:' || protocol === 'http:' ? href : undefined
}
