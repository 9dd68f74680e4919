import { describe, expect, it } from 'vitest'
import texts from '../../../tests/data/message-texts.json'
import { countCodePoints, isVisible, messageKey, nameOf, parseMessage, sanitizeNickname, sanitizeText } from './message'

const payload = { id: '0193-a_B', sender: 'alice@contoso.com', text: 'hi', sentAt: '2026-11-21T22:00:00.000Z' }

describe('a received message', () => {
  it('is public without a recipient', () => {
    expect(parseMessage(payload)).toEqual({
      id: '0193-a_B',
      sender: { kind: 'user', userId: 'alice@contoso.com' },
      audience: { kind: 'everyone' },
      text: 'hi',
      sentAt: new Date('2026-11-21T22:00:00.000Z'),
      place: undefined,
      isRemoved: false,
    })
  })

  it('is in a room, whose name has no letter case', () => {
    expect(parseMessage({ ...payload, room: 'Games' })?.audience).toEqual({ kind: 'room', room: 'games' })
  })

  it.each([
    [{ at: '00000017.0000000689', next: '00000017.0000000800' }, { at: '00000017.0000000689', next: '00000017.0000000800' }],
    [{ at: '00000017.0000000689' }, undefined],
    [{ at: '17.689', next: '17.800' }, undefined],
    [{ at: '00000017.0000000800', next: '00000017.0000000689' }, undefined],
  ])('has its place in the history: %j', (fields, place) => {
    expect(parseMessage({ ...payload, ...fields })?.place).toEqual(place)
  })

  it('has no text if it was removed', () => {
    expect(parseMessage({ ...payload, text: undefined, removed: true })).toMatchObject({ text: '', isRemoved: true })
    expect(parseMessage({ ...payload, removed: 'true' })).toMatchObject({ text: 'hi', isRemoved: false })
  })

  it('is private with recipient and isPrivate', () => {
    expect(parseMessage({ ...payload, recipient: 'bob', isPrivate: true })?.audience).toEqual({ kind: 'person', userId: 'bob' })
  })

  it.each([
    [{ sender: 'Zed (guest)', nickname: 'Zed', isGuest: true }, 'Zed'],
    [{ sender: 'alice@contoso.com', nickname: 'alice@contoso.com', isGuest: true }, 'alice@contoso.com'],
    [{ sender: 'Guest', isGuest: true }, undefined],
    [{ sender: 'alice@contoso.com', isGuest: true }, undefined],
    [{ sender: 'Guest', nickname: '\u200b', isGuest: true }, undefined],
    [{ sender: '', nickname: 'Zed', isGuest: true }, 'Zed'],
    // Of an older API.
    [{ sender: '', nickname: ' Zed ' }, 'Zed'],
    [{ sender: '', nickname: 'Zed', isGuest: false }, 'Zed'],
    [{ sender: '', nickname: 'a\u2028b\u0007' }, 'a b'],
    [{ sender: '' }, undefined],
  ])('is a guest’s: %j', (fields, nickname) => {
    const sender = parseMessage({ ...payload, ...fields })?.sender
    expect(sender).toEqual({ kind: 'guest', nickname })
    expect(sender && nameOf(sender)).toBe(nickname ?? 'Guest')
  })

  it.each([{ sender: 'Zed (guest)' }, { sender: 'Guest' }, { sender: 'Zed', isGuest: false }, { sender: 'Zed', isGuest: 'true' }])('is a user’s: %j', (fields) => {
    expect(parseMessage({ ...payload, ...fields })?.sender).toEqual({ kind: 'user', userId: fields.sender })
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
    { ...payload, room: 'two words' }, { ...payload, room: 'everyone' },
    { ...payload, isGuest: true, recipient: 'bob', isPrivate: true },
    { ...payload, sender: '\u3164' }, { ...payload, text: '\u200b\u2060' }, { ...payload, text: '\u0007' },
  ])('is dropped if malformed: %j', (raw) => {
    expect(parseMessage(raw)).toBeUndefined()
  })
})

describe('message keys', () => {
  const id = 'same'

  it('differ for different senders or texts of the same id', () => {
    const keys = [
      messageKey({ id, sender: { kind: 'user', userId: 'alice' }, text: 'hi' }),
      messageKey({ id, sender: { kind: 'user', userId: 'bob' }, text: 'hi' }),
      messageKey({ id, sender: { kind: 'guest', nickname: 'alice' }, text: 'hi' }),
      messageKey({ id, sender: { kind: 'user', userId: 'alice' }, text: 'something else' }),
    ]
    expect(new Set(keys).size).toBe(4)
  })
})

describe('text', () => {
  // The same table is read by the tests of the API.
  it.each(texts)('is sent as the API publishes it: $case', (row) => {
    const { input, text, page = text } = row
    const sent = sanitizeText(input)
    expect(isVisible(sent) ? sent : null).toBe(page)
  })

  it.each(texts)('is shown as the API publishes it: $case', (row) => {
    const { input, text, page = text } = row
    expect(parseMessage({ ...payload, text: input })?.text ?? null).toBe(page)
  })

  it('has no unpaired surrogates, which are not valid in JSON', () => {
    expect(sanitizeText('a\ud83d b\ude00 😀')).toBe('a\ufffd b\ufffd 😀')
  })

  it.each([
    ['Zoë', 'Zoë'], ['  Zed ', 'Zed'], ['a\tb', 'a b'], ['a\r\nb', 'a b'], ['a\u2029b', 'a b'], ['a\u0085b', 'a b'], ['a\u0007b', 'ab'],
    ['\u202edeZ', 'deZ'], ['\u2066a\u2069', 'a'], ['\u202a \u202c', ''], ['\u05d0\u200f!', '\u05d0\u200f!'], ['a\ud83d', 'a\ufffd'],
  ])('is one line as a nickname, in its own order: %j', (raw, nickname) => {
    expect(sanitizeNickname(raw)).toBe(nickname)
  })

  it.each([['', 0], ['abc', 3], ['é', 1], ['😀', 1], ['a😀b', 3], ['\ud83d', 1]])('counts %j as %i code points', (text, length) => {
    expect(countCodePoints(text)).toBe(length)
  })
})
