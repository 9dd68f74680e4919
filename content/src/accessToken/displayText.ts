// What the panel says of a token: what it allows, when it ends, and why there is none. Words only; nothing is decided by them.
import type { Failure } from '../chat/api'

const MINUTE_MS = 60_000
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const DAY_AND_CLOCK = new Intl.DateTimeFormat(undefined, { weekday: 'long', hour: '2-digit', minute: '2-digit' })

const ALLOWED = new Map([
  ['chat', 'Everything in chats: begin, change and delete them, and take part.'],
  ['chat.join', 'Take part in chats, and add or remove people; not begin or delete chats.'],
  ['chat.join.limited', 'Read and write in chats that somebody added you to.'],
  ['voip', 'Start and join calls.'],
  ['voip.join', 'Join calls that are going on, and calls in rooms you are invited to.'],
])

/** What a scope allows. One that is newer than this page is shown by its name. */
export function allowedBy(scope: string): string {
  return ALLOWED.get(scope) ?? scope
}

/** The time of day, with the day where that is not today's. */
export function clockOf(time: Date, now: Date): string {
  return (time.toDateString() === now.toDateString() ? CLOCK : DAY_AND_CLOCK).format(time)
}

/** How long it is until then, in whole minutes, which never promise more than there is. */
export function inWords(ms: number): string {
  const minutes = Math.floor(ms / MINUTE_MS)
  if (minutes < 1) return 'in less than a minute'
  const parts = [counted(Math.floor(minutes / 60), 'hour'), counted(minutes % 60, 'minute')]
  return `in ${parts.filter(part => part !== '').join(' ')}`
}

/** Until `inWords` says something else. */
export function untilItChanges(ms: number): number {
  return (ms % MINUTE_MS) + 1
}

/** Why something did not work, and what one can do. */
export function sentenceOf(failure: Failure): string {
  switch (failure.kind) {
    case 'unauthenticated':
      return 'Your session has ended. Please sign in again.'
    case 'refused':
      // Also what an API says that is older than this page.
      return failure.status === 404 ? 'This chat gives out no such tokens.' : `That did not work: ${failure.why}`
    case 'later':
      return `That did not work: ${failure.why} Please try again ${whenToTry(failure.afterMs)}.`
  }
}

function whenToTry(afterMs: number | undefined): string {
  if (afterMs === undefined) return 'in a minute'
  return `in ${counted(Math.max(1, Math.ceil(afterMs / 1000)), 'second')}`
}

function counted(count: number, what: string): string {
  return count === 0 ? '' : `${count}\u00a0${what}${count === 1 ? '' : 's'}`
}
