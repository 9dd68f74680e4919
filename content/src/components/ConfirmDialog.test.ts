import { afterEach, describe, expect, it } from 'vitest'
import { nextTick } from 'vue'
import ConfirmDialog from './ConfirmDialog.vue'
import { ERASE_QUESTION, leaveQuestion } from './questions'
import type { Question } from './questions'
import { buttonsOf, mountExposed, press } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

async function ask() {
  const { root, exposed } = mountExposed<{ ask(question: Question): Promise<boolean> }>(ConfirmDialog)
  const answer = exposed.ask(ERASE_QUESTION)
  await nextTick()
  await nextTick()
  return { root, answer, exposed }
}

describe('a question before something that cannot be undone', () => {
  it('says what happens, with the focus on Cancel', async () => {
    const { root } = await ask()
    expect(root.textContent).toContain('The other people keep theirs.')
    expect(document.activeElement).toBe(buttonsOf(root, 'Cancel')[0])
  })

  it.each([['Erase', true], ['Cancel', false]])('is answered by %s: %s', async (button, confirmed) => {
    const { root, answer } = await ask()
    await press(root, button)
    expect(await answer).toBe(confirmed)
    expect(root.querySelector('dialog')?.open).toBe(false)
  })

  it('is answered with no when it is closed with Escape, and when another one is asked', async () => {
    const { root, answer, exposed } = await ask()
    root.querySelector('dialog')?.close()
    expect(await answer).toBe(false)
    const second = exposed.ask(ERASE_QUESTION)
    await nextTick()
    await nextTick()
    void exposed.ask(ERASE_QUESTION)
    expect(await second).toBe(false)
  })
})

describe('the question before leaving', () => {
  it.each([
    [1, true, 'One message has not been sent yet. If you sign out now, it is lost.'],
    [3, false, '3 messages have not been sent yet. If you leave now, they are lost.'],
  ])('%i unsent messages, signed in: %s', (unsent, isUser, text) => {
    expect(leaveQuestion(unsent, isUser).text).toBe(text)
  })
})
