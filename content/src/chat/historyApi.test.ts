import { afterEach, expect, it, vi } from 'vitest'
import { fetchPage } from './historyApi'
import type { HistorySource } from './historyApi'

const API = { baseUrl: 'http://localhost:7071', token: undefined }
const line = { id: 'm', sender: 'ben', text: 'hi', sentAt: '2026-11-21T22:00:00Z', at: '00000017.0000000001', next: '00000017.0000000002' }
const [toAll, inGames, toAnn] = [line, { ...line, room: 'games' }, { ...line, recipient: 'ann', isPrivate: true }]

function answer(...messages: object[]) {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ messages, before: null, after: line.next, more: false, lost: false })))
}

afterEach(() => { vi.unstubAllGlobals() })

it.each<[string, HistorySource, object, object]>([
  ['to everyone', { kind: 'everyone' }, toAll, inGames],
  ['of a room', { kind: 'room', room: 'games' }, inGames, { ...line, room: 'music' }],
  ['of private messages', { kind: 'private' }, toAnn, toAll],
])('takes a page %s, and not one of another history', async (_, source, own, other) => {
  answer(own)
  expect(await fetchPage(API, source, {}, 50)).toMatchObject({ kind: 'page', page: { messages: [{ id: 'm' }] } })
  answer(own, other)
  expect(await fetchPage(API, source, {}, 50)).toMatchObject({ kind: 'failed', failure: { kind: 'transient' } })
})
