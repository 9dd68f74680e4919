// What the page says about the connection. Receiving, sending and the session are judged apart.
import type { Sending } from './apiMonitor'
import type { Status } from './connection'

/** The status as shown: a label in the header and, if there is something to say or to do, a notice above the composer. */
export interface StatusView {
  /** `good`: everything works. `waiting`: something does not work, and the page goes on by itself. `stopped`: the person has to act. */
  readonly tone: 'good' | 'waiting' | 'stopped'
  /** A few words, such as `Online`. */
  readonly label: string
  readonly notice?: Notice | undefined
}

export interface Notice {
  readonly title: string
  readonly text: string
  /** When the next attempt starts, in milliseconds since the epoch; in the past during an attempt. */
  readonly retryAt?: number | undefined
  readonly action?: 'retry-now' | 'sign-in' | undefined
}

/** What is known when the status is judged. */
export interface StatusFacts {
  /** Of the connection: what is received. */
  readonly receiving: Status
  /** Of the calls to the API: what can be sent. */
  readonly sending: Sending
  /** Whether this person is signed in, or was until the session ended; `false` for a guest. */
  readonly signedIn: boolean
  /** `navigator.onLine`. `true` says little, `false` is certain unless a connection works all the same. */
  readonly online: boolean
  /** In milliseconds since the epoch. */
  readonly now: number
}

/** How long a first attempt, or one after a short break, is shown without a notice. */
export const STILL_CONNECTING_AFTER_MS = 3000

const KEEP_WRITING = 'You can keep writing.'
const SENT_LATER = 'New messages arrive. Yours are sent as soon as possible.'

/** What the page says. It has to be judged again after `STILL_CONNECTING_AFTER_MS` while the status is `connecting`. */
export function judgeStatus(facts: StatusFacts): StatusView {
  const { receiving, online } = facts
  if (receiving.kind === 'unauthenticated') return viewOfEndedSession(facts)
  if (receiving.kind === 'connected') return viewOfSending(facts)
  if (!online) {
    const title = `${firstPart(receiving)}This device is offline.`
    return waiting('Offline', title, `${KEEP_WRITING} Your messages are sent when it is online again.`, receiving)
  }
  switch (receiving.kind) {
    case 'connecting':
      if (facts.now - receiving.since < STILL_CONNECTING_AFTER_MS) return { tone: 'waiting', label: 'Connecting…' }
      return waiting('Connecting…', 'Still connecting.', `This takes longer than usual. ${KEEP_WRITING}`, receiving)
    case 'checking':
      return waiting('Checking…', 'Checking the connection.', `New messages may be missing until this is done. ${whatIsSent(facts)}`, receiving)
    case 'reconnecting': {
      const title = receiving.lastHeard === undefined ? 'Not connected yet.' : 'Connection lost.'
      return waiting('Reconnecting…', title, `New messages arrive when there is a connection. ${whatIsSent(facts)}`, receiving)
    }
    case 'offline': {
      const title = `${firstPart(receiving)}${capitalize(receiving.reason)}`
      return waiting('Offline', title, `${KEEP_WRITING} Your messages are sent when it works again.`, receiving)
    }
  }
}

function viewOfEndedSession({ signedIn }: StatusFacts): StatusView {
  const [label, title] = signedIn
    ? ['Signed out', 'You have been signed out.']
    : ['Sign-in required', 'Please sign in. Guests cannot join this chat.']
  return { tone: 'stopped', label, notice: { title, text: 'Unsent messages are kept.', action: 'sign-in' } }
}

/** While messages are received, what there is to say is about sending. */
function viewOfSending({ sending }: StatusFacts): StatusView {
  switch (sending.kind) {
    case 'working':
      return { tone: 'good', label: 'Online' }
    case 'slow':
      return waiting('Slow', 'The chat is slow to answer.', SENT_LATER)
    case 'failing':
      return waiting('Cannot send', 'Messages cannot be sent just now:', `${sending.reason} ${SENT_LATER}`)
  }
}

function whatIsSent({ sending }: StatusFacts): string {
  return sending.kind === 'working' ? `${KEEP_WRITING} Your messages are sent.` : `${KEEP_WRITING} Your messages are sent when it works again.`
}

/** On a first visit there is nothing to lose yet. */
function firstPart(receiving: Exclude<Status, { kind: 'unauthenticated' }>): string {
  return receiving.lastHeard === undefined ? 'Not connected yet. ' : ''
}

function waiting(label: string, title: string, text: string, receiving?: Status): StatusView {
  const retryAt = receiving !== undefined && 'retryAt' in receiving ? receiving.retryAt : undefined
  const canRetryNow = receiving?.kind === 'reconnecting' || (receiving?.kind === 'offline' && receiving.canRetryNow)
  return { tone: 'waiting', label, notice: { title, text, retryAt, action: canRetryNow ? 'retry-now' : undefined } }
}

function capitalize(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1)
}
