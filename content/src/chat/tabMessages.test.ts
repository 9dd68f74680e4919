import { beforeEach, expect, it } from 'vitest'
import type { Message, Sender } from './message'
import { clearMessages, loadMessages, MAX_KEPT, saveMessages } from './tabMessages'
import { Threads } from './threads'

const ANN: Sender = { kind: 'user', userId: 'ann' }
const message = (values: Partial<Message>): Message => ({ id: 'm', sender: { kind: 'user', userId: 'ben' }, audience: { kind: 'everyone' }, text: 'hi', sentAt: new Date(7), ...values })

beforeEach(() => { sessionStorage.clear() })

it('has the messages that the same person has seen, in their threads and order', () => {
  const threads = new Threads(ANN)
  threads.open({ kind: 'room', room: 'games' })
  const seen = [
    message({ id: 'a' }),
    message({ id: 'b', sender: { kind: 'guest', nickname: 'Zed' } }),
    message({ id: 'c', audience: { kind: 'room', room: 'games' } }),
    message({ id: 'd', audience: { kind: 'person', userId: 'ann' } }),
    message({ id: 'e', audience: { kind: 'person', userId: 'ben' }, sender: ANN }),
  ]
  threads.receive(seen, true)
  threads.addUnsent(message({ id: 'unsent', sender: ANN }))
  saveMessages(sessionStorage, ANN, threads.list, new Date(9))
  expect(loadMessages(sessionStorage, ANN)).toMatchObject({ messages: seen, savedAt: new Date(9) })
  expect(loadMessages(sessionStorage, { kind: 'user', userId: 'ben' })).toEqual({ messages: [], savedAt: undefined })
  clearMessages(sessionStorage)
  expect(loadMessages(sessionStorage, ANN)).toEqual({ messages: [], savedAt: undefined })
})

it('has a limited number of them', () => {
  const threads = new Threads(ANN)
  threads.receive(Array.from({ length: MAX_KEPT + 10 }, (_, number) => message({ id: `${number}` })), true)
  saveMessages(sessionStorage, ANN, threads.list, new Date(9))
  expect(loadMessages(sessionStorage, ANN).messages.map(({ id }) => id)[0]).toBe('10')
})

it.each(['null', 'not JSON', '{"owner":"ann","messages":7}', '{"owner":"ann","messages":[],"savedAt":7}'])('is empty if %s was saved', (saved) => {
  sessionStorage.setItem('chat.messages', saved)
  expect(loadMessages(sessionStorage, ANN)).toEqual({ messages: [], savedAt: undefined })
})
