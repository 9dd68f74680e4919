// What the page says about the connection, judged again when a fact or the time changes it.
import { computed, onScopeDispose, ref, watchEffect } from 'vue'
import type { Ref } from 'vue'
import type { Sending } from './apiMonitor'
import type { Status } from './connection'
import { judgeStatus, STILL_CONNECTING_AFTER_MS } from './status'

export function useStatus(receiving: Readonly<Ref<Status>>, sending: Readonly<Ref<Sending>>, signedIn: boolean) {
  const now = ref(Date.now())
  const online = ref(navigator.onLine)

  watchEffect((onCleanup) => {
    now.value = Date.now()
    if (receiving.value.kind !== 'connecting') return
    const timer = setTimeout(() => { now.value = Date.now() }, STILL_CONNECTING_AFTER_MS)
    onCleanup(() => { clearTimeout(timer) })
  })

  const watching = new AbortController()
  for (const event of ['online', 'offline']) window.addEventListener(event, () => { online.value = navigator.onLine }, { signal: watching.signal })
  onScopeDispose(() => { watching.abort() })

  return computed(() => judgeStatus({ receiving: receiving.value, sending: sending.value, signedIn, online: online.value, now: now.value }))
}
