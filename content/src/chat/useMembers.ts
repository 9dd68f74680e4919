// Who is in a room, asked for only while it is shown.
import { onScopeDispose, readonly, shallowRef, watch } from 'vue'
import type { Ref } from 'vue'
import { reasonOf } from './api'
import type { ChatApi } from './chatApi'
import type { MembersResult } from './roomResults'

/** The API keeps its answer for ten seconds. */
const REFRESH_INTERVAL_MS = 15_000

/** Asks for the members of `room` while there is one and the page is visible. */
export function useMembers(room: Readonly<Ref<string | undefined>>, fetchMembers: ChatApi['fetchMembers']) {
  const members = shallowRef<MembersResult>({ kind: 'loading' })
  let timer: ReturnType<typeof setTimeout> | undefined
  let isClosed = false

  async function load(): Promise<void> {
    clearTimeout(timer)
    const asked = room.value
    if (asked === undefined || document.hidden) return
    const result = await fetchMembers(asked)
    if (isClosed || room.value !== asked) return
    if (result.kind === 'known') {
      const { people, guests, hasMore } = result.value
      members.value = { kind: 'known', people, guests, more: hasMore }
    } else if (members.value.kind !== 'known') {
      members.value = { kind: 'failed', reason: reasonOf(result.failure) }
    }
    clearTimeout(timer)
    timer = setTimeout(() => void load(), REFRESH_INTERVAL_MS)
  }

  watch(room, () => {
    members.value = { kind: 'loading' }
    void load()
  }, { immediate: true })
  const onVisible = () => { void load() }
  document.addEventListener('visibilitychange', onVisible)
  onScopeDispose(() => {
    isClosed = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', onVisible)
  })

  return { members: readonly(members), load }
}
