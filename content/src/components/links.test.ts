import { describe, expect, it } from 'vitest'
import { findLinks, limitMarks, MAX_LINKS } from './links'

const hrefs = (text: string) => findLinks(text).flatMap(({ href }) => href ?? [])

describe('links in a text', () => {
  it.each([
    ['see https://example.com/a.', ['https://example.com/a']],
    ['(https://example.com/a)', ['https://example.com/a']],
    ['https://example.com/a_(b)', ['https://example.com/a_(b)']],
    ['HTTP://EXAMPLE.com and https://b.example?q=1#x!', ['http://example.com/', 'https://b.example/?q=1#x']],
    ['https://example.com"onmouseover="alert(1)', ['https://example.com/']],
    ['https://example.com/a)))', ['https://example.com/a']],
    ['https://example.com/(a)))', ['https://example.com/(a)']],
    ['https://example.com/[a](b).]', ['https://example.com/[a](b)']],
    ['https://example.com/a_(b).)].', ['https://example.com/a_(b)']],
    ['https://example.com/((a', ['https://example.com/((a']],
    ['https://例え.jp/道', ['https://xn--r8jz45g.jp/%E9%81%93']],
  ])('are found in %j', (text, expected) => {
    expect(hrefs(text)).toEqual(expected)
  })

  it.each([
    'javascript:alert(1)', 'data:text/html,x', 'ftp://example.com', 'example.com', 'https://', 'http://?', 'xhttps://example.com',
    'https://bank.example@evil.example/', `https://${'a'.repeat(254)}`, `https://${'道'.repeat(254)}/`,
  ])('are not made of %j', (text) => {
    expect(hrefs(text)).toEqual([])
  })

  it('do not change the text', () => {
    const text = 'a https://example.com/x, b\n<https://example.com/y> …https://'
    expect(findLinks(text).map(piece => piece.text).join('')).toBe(text)
    expect(findLinks('')).toEqual([])
  })

  it('have a maximum number; the other addresses stay text', () => {
    const text = 'http://a '.repeat(400)
    expect(hrefs(text)).toHaveLength(MAX_LINKS)
    expect(findLinks(text).map(piece => piece.text).join('')).toBe(text)
  })

  it('end at bidirectional control characters', () => {
    expect(hrefs('https://example.com/\u202egpj.exe')).toEqual(['https://example.com/'])
  })
})

describe('combining marks', () => {
  it.each([
    ['e\u0301', 'e\u0301'],
    ['a' + '\u0301'.repeat(32) + 'b', 'a' + '\u0301'.repeat(32) + 'b'],
    ['a' + '\u0301'.repeat(33) + 'b', 'a' + '\u0301'.repeat(32) + 'b'],
    ['a' + '\u0301\u0489'.repeat(2_000) + 'b\u0302', 'a' + '\u0301\u0489'.repeat(16) + 'b\u0302'],
    ['\u0301'.repeat(4_096), '\u0301'.repeat(32)],
    ['\u2764\ufe0f 👩\u200d👩\u200d👧 กำ้', '\u2764\ufe0f 👩\u200d👩\u200d👧 กำ้'],
  ])('are limited for each character (%#)', (text, shown) => {
    expect(limitMarks(text)).toBe(shown)
  })
})
