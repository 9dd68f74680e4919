// Finds web addresses in text. The result is text and links for a template to place; nobody makes markup of it.

export interface Piece {
  readonly text: string
  /** An http or https address, or `undefined` for plain text. */
  readonly href: string | undefined
}

// Starts at the scheme and ends at white space, quotes, angle brackets, or a control that reorders what is read.
const ADDRESS = /\bhttps?:\/\/[^\s<>"'\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu

/** Cuts `text` into plain pieces and addresses, in order; joined together they are `text` again. */
export function findLinks(text: string): Piece[] {
  const pieces: Piece[] = []
  let done = 0
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = withoutTail(found)
    const href = hrefOf(address)
    if (href === undefined) continue
    if (index > done) pieces.push({ text: text.slice(done, index), href: undefined })
    pieces.push({ text: address, href })
    done = index + address.length
  }
  if (done < text.length) pieces.push({ text: text.slice(done), href: undefined })
  return pieces
}

/** Without the punctuation of the sentence around it; a closing bracket stays when the address opened it. */
function withoutTail(found: string): string {
  let address = found
  for (;;) {
    const last = address.at(-1) ?? ''
    const closes = (last === ')' && !balanced(address, '(', ')')) || (last === ']' && !balanced(address, '[', ']'))
    if (!closes && !'.,;:!?…*_~`'.includes(last)) return address
    if (last === '') return address
    address = address.slice(0, -1)
  }
}

function balanced(address: string, opening: string, closing: string): boolean {
  return address.split(opening).length >= address.split(closing).length
}

function hrefOf(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined
  const { protocol, hostname, username, password, href } = new URL(address)
  // "https://bank.example@evil.example" shows one host and goes to another: it stays text.
  if (username !== '' || password !== '' || hostname === '') return undefined
  return protocol === 'https:' || protocol === 'http:' ? href : undefined
}
