// A token in one's hand, as Vue sees it: gone when it ends, when it is revoked, and with the component that asked for it.
// An answer that comes after that is dropped: nobody is there any more who wanted it.
import { onScopeDispose, readonly, ref, shallowRef } from 'vue'
import type { AccessToken, Issued, Revoked } from './accessToken'
import { inWords, sentenceOf, untilItChanges } from './displayText'
import type { Failure } from '../chat/api'

export interface AccessTokenOptions {
  readonly issue: () => Promise<Issued>
  readonly revoke: () => Promise<Revoked>
  readonly onUnauthenticated: () => void
}

export function useAccessToken({ issue, revoke, onUnauthenticated }: AccessTokenOptions) {
  const held = shallowRef<AccessToken>()
  /** When the held one ends, like "in 59 minutes". */
  const endsIn = ref('')
  const busy = ref(false)
  /** What came of the last thing one did. */
  const told = ref('')
  let closed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  async function ask(): Promise<void> {
    await alone('Asking for a token…', async () => {
      const result = await issue()
      if (result.kind === 'failed') return result.failure
      hold(result.token)
      return undefined
    })
  }

  async function revokeAll(): Promise<void> {
    await alone('Revoking…', async () => {
      const result = await revoke()
      if (result.kind === 'failed') return result.failure
      drop('All your tokens are revoked.')
      return undefined
    })
  }

  /** One thing at a time: a token that arrived while all are being revoked would be dead or not, and nobody could say which. */
  async function alone(meanwhile: string, work: () => Promise<Failure | undefined>): Promise<void> {
    if (busy.value) return
    busy.value = true
    told.value = meanwhile
    const failure = await work()
    busy.value = false
    if (closed || failure === undefined) return
    told.value = sentenceOf(failure)
    if (failure.kind === 'unauthenticated') {
      drop(told.value)
      onUnauthenticated()
    }
  }

  function hold(token: AccessToken): void {
    if (closed) return
    held.value = token
    told.value = 'Here is your token.'
    count()
  }

  function count(): void {
    clearTimeout(timer)
    const left = (held.value?.endsAt.getTime() ?? 0) - Date.now()
    if (left <= 0) {
      drop('By the clock of this device the token has ended. Get a new one when you need it.')
      return
    }
    endsIn.value = inWords(left)
    timer = setTimeout(count, untilItChanges(left))
  }

  function drop(why: string): void {
    clearTimeout(timer)
    held.value = undefined
    told.value = why
  }

  onScopeDispose(() => {
    closed = true
    drop('')
  })

  return { held: readonly(held), endsIn: readonly(endsIn), busy: readonly(busy), told: readonly(told), ask, revokeAll }
}
