// Every function over text of others, with texts that are chosen to make it slow.
import { describe, expect, it } from 'vitest'
import worst from '../../../tests/data/worst-messages.json'
import { countCodePoints, isVisible, MAX_TEXT_LENGTH, parseMessage, sanitizeNickname, sanitizeText } from '../chat/message'
import { findLinks, limitMarks } from './links'

type Recipe = (typeof worst)[number]

/** `start`, then `repeat` as often as possible, then `end`: at most `length` characters. */
function build({ start, repeat, end = '' }: Recipe, length: number): string {
  const count = Math.floor((length - countCodePoints(start + end)) / countCodePoints(repeat))
  return start + repeat.repeat(count) + end
}

/** Processor time in milliseconds, which does not depend on the load of the machine. */
function cpuTime(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

const functions: readonly (readonly [string, (text: string) => unknown])[] = [
  ['findLinks', findLinks],
  ['limitMarks', limitMarks],
  ['sanitizeText', sanitizeText],
  ['sanitizeNickname', sanitizeNickname],
  ['isVisible', isVisible],
  ['countCodePoints', countCodePoints],
  ['parseMessage', text => parseMessage({ id: 'a', sender: 'bob', text, sentAt: '2026-11-21T22:00:00Z' })],
  ['parseMessage of a guest', text => parseMessage({ id: 'a', sender: '', nickname: text, text: 'hi', sentAt: '2026-11-21T22:00:00Z' })],
]

describe.each(worst)('a message of $case', (recipe) => {
  it('is legal', () => {
    const message = parseMessage({ id: 'a', sender: 'bob', text: build(recipe, MAX_TEXT_LENGTH), sentAt: '2026-11-21T22:00:00Z' })
    expect(message).toBeDefined()
    expect(countCodePoints(message?.text ?? '')).toBeLessThanOrEqual(MAX_TEXT_LENGTH)
  })

  // Linear: some 10 ms. Quadratic: at least 10 s, with 10^10 steps.
  it.each(functions)('takes linear time: %s', (_, work) => {
    const text = build(recipe, 200_000)
    expect(cpuTime(() => work(text))).toBeLessThan(2000)
  })
})
