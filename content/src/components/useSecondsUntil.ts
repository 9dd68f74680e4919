// A countdown that is shown to the user.
import { computed, onScopeDispose, ref } from 'vue'
import type { ComputedRef } from 'vue'

/** The whole seconds until `time` (milliseconds since the epoch), rounded up; 0 when it has passed. */
export function useSecondsUntil(time: () => number): ComputedRef<number> {
  const now = ref(Date.now())
  const timer = setInterval(() => { now.value = Date.now() }, 1000)
  onScopeDispose(() => { clearInterval(timer) })
  return computed(() => Math.max(0, Math.ceil((time() - now.value) / 1000)))
}
