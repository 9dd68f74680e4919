import { describe, expect, it } from 'vitest'
import { judgeStatus } from './status'
import type { StatusFacts } from './status'

const NOW = 1_800_000_000_000
const connected = { kind: 'connected', connectionId: 'secret-c1', lastHeard: undefined } as const
const everything: StatusFacts = { receiving: connected, sending: { kind: 'working' }, signedIn: true, online: true, now: NOW }
const failing = { kind: 'failing', reason: 'the chat is busy or restarting.' } as const
const unreachable = { kind: 'offline', retryAt: NOW + 9000, reason: 'the chat cannot be reached.', canRetryNow: true } as const
const before = NOW - 60_000

describe('the status', () => {
  it.each<[string, Partial<StatusFacts>, string, string]>([
    ['nothing', {}, 'good', 'Online'],
    ['the device is offline, but the connection works all the same', { online: false }, 'good', 'Online'],
    ['the page has just been opened', { receiving: { kind: 'connecting', since: NOW, lastHeard: undefined } }, 'waiting', 'Connecting…'],
    ['connecting for 3 s', { receiving: { kind: 'connecting', since: NOW - 3000, lastHeard: undefined } }, 'waiting', 'Connecting… | Still connecting.'],
    ['the device is offline', { online: false, receiving: { kind: 'connecting', since: NOW, lastHeard: before } }, 'waiting', 'Offline | This device is offline.'],
    [
      'the device is offline on a first visit',
      { online: false, receiving: { kind: 'connecting', since: NOW, lastHeard: undefined } },
      'waiting', 'Offline | Not connected yet. This device is offline.',
    ],
    ['nothing arrives', { receiving: { kind: 'checking', lastHeard: before } }, 'waiting', 'Checking… | Checking the connection.'],
    ['the connection is lost', { receiving: { kind: 'reconnecting', retryAt: NOW, lastHeard: before } }, 'waiting', 'Reconnecting… | Connection lost.'],
    ['the first connect fails', { receiving: { kind: 'reconnecting', retryAt: NOW, lastHeard: undefined } }, 'waiting', 'Reconnecting… | Not connected yet.'],
    ['the API cannot be reached', { receiving: { ...unreachable, lastHeard: before }, sending: failing }, 'waiting', 'Offline | The chat cannot be reached.'],
    [
      'the API cannot be reached on a first visit',
      { receiving: { ...unreachable, lastHeard: undefined }, sending: failing },
      'waiting', 'Offline | Not connected yet. The chat cannot be reached.',
    ],
    ['the API fails while messages arrive', { sending: failing }, 'waiting', 'Cannot send | Messages cannot be sent just now:'],
    ['the API is slow', { sending: { kind: 'slow', since: NOW - 3000 } }, 'waiting', 'Slow | The chat is slow to answer.'],
    ['the session', { receiving: { kind: 'unauthenticated' } }, 'stopped', 'Signed out | You have been signed out.'],
    ['the session, and everything else', { receiving: { kind: 'unauthenticated' }, sending: failing, online: false }, 'stopped', 'Signed out | You have been signed out.'],
    ['guests may not chat', { receiving: { kind: 'unauthenticated' }, signedIn: false }, 'stopped', 'Sign-in required | Please sign in. Guests cannot join this chat.'],
  ])('when this fails: %s', (_, facts, tone, says) => {
    const { tone: actual, label, notice } = judgeStatus({ ...everything, ...facts })
    expect([actual, [label, notice?.title].filter(text => text !== undefined).join(' | ')]).toEqual([tone, says])
  })

  it('says that messages are sent only while they are', () => {
    const receiving = { kind: 'reconnecting', retryAt: NOW, lastHeard: before } as const
    expect(judgeStatus({ ...everything, receiving }).notice?.text).toContain('Your messages are sent.')
    expect(judgeStatus({ ...everything, receiving, sending: failing }).notice?.text).toContain('Your messages are sent when it works again.')
  })

  it('offers a retry only if it helps, and a sign-in only if it is needed', () => {
    const actionOf = (facts: Partial<StatusFacts>) => judgeStatus({ ...everything, ...facts }).notice?.action
    expect(actionOf({ receiving: { ...unreachable, lastHeard: before } })).toBe('retry-now')
    expect(actionOf({ receiving: { ...unreachable, canRetryNow: false, lastHeard: before } })).toBeUndefined()
    expect(actionOf({ receiving: { kind: 'checking', lastHeard: before } })).toBeUndefined()
    expect(actionOf({ receiving: { kind: 'unauthenticated' } })).toBe('sign-in')
  })

  it('never shows the id of the connection', () => {
    expect(JSON.stringify(judgeStatus({ ...everything, sending: failing }))).not.toContain('secret')
  })
})
