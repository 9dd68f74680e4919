import { describe, expect, it } from 'vitest'
import { messageKey, countCodePoints, parseMessage, sanitizeText } from './message'

const payload = { id: '0193-a_B', sender: 'alice@contoso.com', text: 'hi', sentAt: '2026-11-21T22:00:00.000Z' }

describe('a received message', () => {
  it('is public without a recipient', () => {
    expect(parseMessage(payload)).toEqual({
      id: '0193-a_B',
      sender: { kind: 'user', userId: 'alice@contoso.com' },
      audience: { kind: 'everyone' },
      text: 'hi',
      sentAt: new Date('2026-11-21T22:00:00.000Z'),
    })
  })

  it('is private with recipient and isPrivate', () => {
    expect(parseMessage({ ...payload, recipient: 'bob', isPrivate: true })?.audience).toEqual({ kind: 'person', userId: 'bob' })
  })

  it('is a guest’s if the sender is empty, even if the nickname is a user id', () => {
    expect(parseMessage({ ...payload, sender: '', nickname: ' alice@contoso.com ' })?.sender).toEqual({ kind: 'guest', nickname: 'alice@contoso.com' })
    expect(parseMessage({ ...payload, sender: '' })?.sender).toEqual({ kind: 'guest', nickname: undefined })
    expect(parseMessage({ ...payload, sender: '', nickname: 7 })?.sender).toEqual({ kind: 'guest', nickname: undefined })
  })

  it('is a user’s if there is a sender, and the nickname is ignored', () => {
    expect(parseMessage({ ...payload, nickname: 'boss' })?.sender).toEqual({ kind: 'user', userId: 'alice@contoso.com' })
  })

  it('may have unknown fields', () => {
    expect(parseMessage({ ...payload, colour: 'red' })?.text).toBe('hi')
  })

  it.each([
    undefined, null, 'text', 7, [], {},
    { ...payload, id: undefined }, { ...payload, id: '' }, { ...payload, id: 'a b' }, { ...payload, id: 'x'.repeat(65) }, { ...payload, id: 7 },
    { ...payload, sender: undefined }, { ...payload, sender: null }, { ...payload, sender: {} },
    { ...payload, text: undefined }, { ...payload, text: '' }, { ...payload, text: ['hi'] },
    { ...payload, sentAt: undefined }, { ...payload, sentAt: 'yesterday' }, { ...payload, sentAt: 0 },
    { ...payload, recipient: 7, isPrivate: true }, { ...payload, isPrivate: true }, { ...payload, recipient: 'bob' }, { ...payload, recipient: 'bob', isPrivate: 'true' },
    { ...payload, sender: '', recipient: 'bob', isPrivate: true },
  ])('is dropped if malformed: %j', (raw) => {
    expect(parseMessage(raw)).toBeUndefined()
  })
})

describe('message keys', () => {
  const id = 'same'

  it('differ for different senders of the same id', () => {
    const keys = [
      messageKey({ id, sender: { kind: 'user', userId: 'alice' } }),
      messageKey({ id, sender: { kind: 'user', userId: 'bob' } }),
      messageKey({ id, sender: { kind: 'guest', nickname: 'alice' } }),
    ]
    expect(new Set(keys).size).toBe(3)
  })
})

describe('text to send', () => {
  it('keeps tabs, line breaks and all letters', () => {
    expect(sanitizeText('  a\tb\r\nc\rd é 日本 👩‍👩‍👧 \n')).toBe('a\tb\nc\nd é 日本 👩‍👩‍👧')
  })

  it('loses the control characters that the API rejects', () => {
    expect(sanitizeText('a\u0000b\u001b[31mc\u007f\u0085d')).toBe('ab[31mcd')
  })

  it('is empty if there is only white space', () => {
    expect(sanitizeText(' \n\t\u00a0')).toBe('')
  })

  it.each([['', 0], ['abc', 3], ['é', 1], ['😀', 1], ['a😀b', 3], ['\ud83d', 1]])('counts %j as %i code points', (text, length) => {
    expect(countCodePoints(text)).toBe(length)
  })
})
