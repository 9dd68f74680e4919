// All calls that a chat makes to the API, for one person.
import type { Api } from './api'
import { erasePrivate, fetchPage, removeMessage } from './historyApi'
import type { DoneResult, HistorySource, PageCursor, PageResult } from './historyApi'
import type { Draft, Sender } from './message'
import type { PostResult } from './outbox'
import { postMessage } from './postMessage'
import { enterRoom, fetchMembers, fetchRooms, leaveRoom } from './roomsApi'
import type { Members, Result } from './roomsApi'

export interface ChatApi {
  readonly post: (draft: Draft) => Promise<PostResult>
  readonly fetchPage: (source: HistorySource, cursor: PageCursor, limit: number) => Promise<PageResult>
  readonly erasePrivate: () => Promise<DoneResult>
  /** Removes an own message at a position, of a room or (`undefined`) to everyone. */
  readonly removeMessage: (at: string, room: string | undefined) => Promise<DoneResult>
  readonly fetchRooms: () => Promise<Result<readonly string[]>>
  readonly fetchMembers: (room: string) => Promise<Result<Members>>
  readonly enterRoom: (room: string, connectionId: string) => Promise<DoneResult>
  readonly leaveRoom: (room: string, connectionId: string) => Promise<DoneResult>
}

export function createChatApi(api: Api, me: Sender): ChatApi {
  return {
    post: draft => postMessage(api, me, draft),
    fetchPage: (source, cursor, limit) => fetchPage(api, source, cursor, limit),
    erasePrivate: () => erasePrivate(api),
    removeMessage: (at, room) => removeMessage(api, at, room),
    fetchRooms: () => fetchRooms(api),
    fetchMembers: room => fetchMembers(api, room),
    enterRoom: (room, connectionId) => enterRoom(api, room, connectionId),
    leaveRoom: (room, connectionId) => leaveRoom(api, room, connectionId),
  }
}
