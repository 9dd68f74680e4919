import { describe, expect, it } from 'vitest'
import { keyOf, lengthOf, parseMessage, tidy } from './message'

const wire = { id: '0193-a_B', sender: 'alice@contoso.com', text: 'hi', sentAt: '2026-11-21T22:00:00.000Z' }

describe('what arrives', () => {
  it('is a public message without recipient', () => {
    expect(parseMessage(wire)).toEqual({
      id: '0193-a_B',
      sender: { kind: 'user', userId: 'alice@contoso.com' },
      audience: { kind: 'everyone' },
      text: 'hi',
      sentAt: new Date('2026-11-21T22:00:00.000Z'),
    })
  })

  it('is a private message with recipient and isPrivate', () => {
    expect(parseMessage({ ...wire, recipient: 'bob', isPrivate: true })?.audience).toEqual({ kind: 'person', userId: 'bob' })
  })

  it('is a guest’s when the sender is empty, whatever the nickname claims', () => {
    expect(parseMessage({ ...wire, sender: '', nickname: ' alice@contoso.com ' })?.sender).toEqual({ kind: 'guest', nickname: 'alice@contoso.com' })
    expect(parseMessage({ ...wire, sender: '' })?.sender).toEqual({ kind: 'guest', nickname: undefined })
    expect(parseMessage({ ...wire, sender: '', nickname: 7 })?.sender).toEqual({ kind: 'guest', nickname: undefined })
  })

  it('is a user’s when there is a sender, and the nickname does not count', () => {
    expect(parseMessage({ ...wire, nickname: 'boss' })?.sender).toEqual({ kind: 'user', userId: 'alice@contoso.com' })
  })

  it('may carry fields of a later time', () => {
    expect(parseMessage({ ...wire, colour: 'red' })?.text).toBe('hi')
  })

  it.each([
    undefined, null, 'text', 7, [], {},
    { ...wire, id: undefined }, { ...wire, id: '' }, { ...wire, id: 'a b' }, { ...wire, id: 'x'.repeat(65) }, { ...wire, id: 7 },
    { ...wire, sender: undefined }, { ...wire, sender: null }, { ...wire, sender: {} },
    { ...wire, text: undefined }, { ...wire, text: '' }, { ...wire, text: ['hi'] },
    { ...wire, sentAt: undefined }, { ...wire, sentAt: 'yesterday' }, { ...wire, sentAt: 0 },
    { ...wire, recipient: 7, isPrivate: true }, { ...wire, isPrivate: true }, { ...wire, recipient: 'bob' }, { ...wire, recipient: 'bob', isPrivate: 'true' },
    { ...wire, sender: '', recipient: 'bob', isPrivate: true },
  ])('is dropped when malformed: %j', (raw) => {
    expect(parseMessage(raw)).toBeUndefined()
  })
})

describe('keys', () => {
  const id = 'same'

  it('tell two senders of one id apart, and a guest from everybody', () => {
    const keys = [
      keyOf({ id, sender: { kind: 'user', userId: 'alice' } }),
      keyOf({ id, sender: { kind: 'user', userId: 'bob' } }),
      keyOf({ id, sender: { kind: 'guest', nickname: 'alice' } }),
    ]
    expect(new Set(keys).size).toBe(3)
  })
})

describe('what is sent', () => {
  it('keeps tabs, lines and every kind of letter', () => {
    expect(tidy('  a\tb\r\nc\rd é 日本 👩‍👩‍👧 \n')).toBe('a\tb\nc\nd é 日本 👩‍👩‍👧')
  })

  it('loses the control characters that the API refuses', () => {
    expect(tidy('a\u0000b\u001b[31mc\u007f\u0085d')).toBe('ab[31mcd')
  })

  it('is empty when there is only white space', () => {
    expect(tidy(' \n\t\u00a0')).toBe('')
  })

  it.each([['', 0], ['abc', 3], ['é', 1], ['😀', 1], ['a😀b', 3], ['\ud83d', 1]])('counts %j as %i code points', (text, length) => {
    expect(lengthOf(text)).toBe(length)
  })
})
