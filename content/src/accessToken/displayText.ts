// Texts about an access token: what its scopes allow, when it expires, and why a request failed.
import type { Failure } from '../chat/api'

const MINUTE_MS = 60_000
const TIME = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { weekday: 'long', hour: 'numeric', minute: '2-digit' })

const SCOPE_DESCRIPTIONS = new Map([
  ['chat', 'Full access to chats: create, change, delete and take part.'],
  ['chat.join', 'Take part in chats, and add or remove people. Not: create or delete chats.'],
  ['chat.join.limited', 'Read and write in chats that you were added to.'],
  ['voip', 'Start and join calls.'],
  ['voip.join', 'Join ongoing calls, and calls in rooms that you are invited to.'],
])

/** What a scope allows; for an unknown scope its name. */
export function describeScope(scope: string): string {
  return SCOPE_DESCRIPTIONS.get(scope) ?? scope
}

/** The time of day, with the weekday if it is not today. */
export function formatTime(time: Date, now: Date): string {
  return (time.toDateString() === now.toDateString() ? TIME : DAY_AND_TIME).format(time)
}

/** The remaining time in hours and minutes, rounded down. */
export function formatTimeLeft(ms: number): string {
  const minutes = Math.floor(ms / MINUTE_MS)
  if (minutes < 1) return 'in less than a minute'
  const parts = [formatCount(Math.floor(minutes / 60), 'hour'), formatCount(minutes % 60, 'minute')]
  return `in ${parts.filter(part => part !== '').join(' ')}`
}

/** Milliseconds until `formatTimeLeft` returns a different text. */
export function msUntilTextChanges(ms: number): number {
  return (ms % MINUTE_MS) + 1
}

/** Why a request failed and what to do about it. */
export function describeFailure(failure: Failure): string {
  switch (failure.kind) {
    case 'unauthenticated':
      return 'You have been signed out. Please sign in again.'
    case 'rejected':
      // Also the response of an older API.
      return failure.status === 404 ? 'This chat does not offer access tokens.' : `That did not work: ${failure.reason}`
    case 'transient':
      return `That did not work: ${failure.reason} Please try again ${formatRetryAfter(failure.retryAfterMs)}.`
  }
}

function formatRetryAfter(retryAfterMs: number | undefined): string {
  if (retryAfterMs === undefined) return 'in a minute'
  return `in ${formatCount(Math.max(1, Math.ceil(retryAfterMs / 1000)), 'second')}`
}

function formatCount(count: number, what: string): string {
  return count === 0 ? '' : `${count}\u00a0${what}${count === 1 ? '' : 's'}`
}
