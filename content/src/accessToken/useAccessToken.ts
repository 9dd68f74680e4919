// The composable behind the access token card. The token is removed when it expires or is revoked, and with the effect scope.
import { onScopeDispose, readonly, ref, shallowRef } from 'vue'
import type { AccessToken, IssueResult, RevokeResult } from './accessToken'
import { describeFailure, formatTimeLeft, msUntilTextChanges } from './displayText'
import type { Failure } from '../chat/api'

export interface AccessTokenOptions {
  readonly issue: () => Promise<IssueResult>
  readonly revoke: () => Promise<RevokeResult>
  readonly onUnauthenticated: () => void
}

export function useAccessToken({ issue, revoke, onUnauthenticated }: AccessTokenOptions) {
  const token = shallowRef<AccessToken>()
  /** The remaining time, such as "in 59 minutes". */
  const timeLeft = ref('')
  const busy = ref(false)
  /** The result of the last action. */
  const message = ref('')
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  async function request(): Promise<void> {
    await run('Requesting a token…', async () => {
      const result = await issue()
      if (result.kind === 'failed') return result.failure
      setToken(result.token)
      return undefined
    })
  }

  async function revokeAll(): Promise<void> {
    await run('Revoking…', async () => {
      const result = await revoke()
      if (result.kind === 'failed') return result.failure
      clearToken('All your tokens are revoked.')
      return undefined
    })
  }

  /** Runs one action at a time: a token that is issued while all are being revoked may be revoked or not. */
  async function run(progress: string, action: () => Promise<Failure | undefined>): Promise<void> {
    if (busy.value) return
    busy.value = true
    message.value = progress
    const failure = await action()
    busy.value = false
    if (isClosed || failure === undefined) return
    message.value = describeFailure(failure)
    if (failure.kind === 'unauthenticated') {
      clearToken(message.value)
      onUnauthenticated()
    }
  }

  function setToken(issued: AccessToken): void {
    if (isClosed) return
    token.value = issued
    message.value = 'Here is your token.'
    updateTimeLeft()
  }

  function updateTimeLeft(): void {
    clearTimeout(timer)
    const ms = (token.value?.expiresOn.getTime() ?? 0) - Date.now()
    if (ms <= 0) {
      clearToken('The token has expired. Get a new one when you need it.')
      return
    }
    timeLeft.value = formatTimeLeft(ms)
    timer = setTimeout(updateTimeLeft, msUntilTextChanges(ms))
  }

  function clearToken(reason: string): void {
    clearTimeout(timer)
    token.value = undefined
    message.value = reason
  }

  onScopeDispose(() => {
    isClosed = true
    clearToken('')
  })

  return { token: readonly(token), timeLeft: readonly(timeLeft), busy: readonly(busy), message: readonly(message), request, revokeAll }
}
