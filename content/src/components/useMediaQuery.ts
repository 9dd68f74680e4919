// Whether a media query matches, for what CSS alone cannot switch.
import { onScopeDispose, readonly, ref } from 'vue'
import type { Ref } from 'vue'

export function useMediaQuery(query: string): Readonly<Ref<boolean>> {
  const list = matchMedia(query)
  const matches = ref(list.matches)
  const update = () => { matches.value = list.matches }
  list.addEventListener('change', update)
  onScopeDispose(() => { list.removeEventListener('change', update) })
  return readonly(matches)
}
