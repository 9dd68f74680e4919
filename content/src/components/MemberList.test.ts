import { afterEach, describe, expect, it, vi } from 'vitest'
import MemberList from './MemberList.vue'
import { buttonsOf, mount, press } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

const known = { kind: 'known', people: ['cy', 'ann', 'ben'], guests: 0, more: false }
const show = (members: unknown, more = {}) => mount(MemberList, { members, me: 'ann', canWritePrivately: true, ...more })

describe('the list of who is here', () => {
  it('shows people by name, and who of them is oneself', () => {
    const root = show(known)
    expect([...root.querySelectorAll('bdi')].map(({ textContent }) => textContent)).toEqual(['ann', 'ben', 'cy'])
    expect(root.querySelector('li')?.textContent).toContain('ann(you)')
  })

  it.each([
    [{ guests: 1 }, 'and 1 guest'],
    [{ guests: 3 }, 'and 3 guests'],
    [{ more: true }, 'and others'],
    [{ guests: 3, more: true }, 'and 3 guests and others'],
    [{ people: [], guests: 2 }, '2 guests'],
    [{ people: [] }, 'No one else is here right now.'],
  ])('says who else is here: %j', (more, text) => {
    expect(show({ ...known, ...more }).querySelector('p')?.textContent).toBe(text)
  })

  it('writes to a person who is chosen, but not to oneself', () => {
    const onWriteTo = vi.fn()
    const buttons = show(known, { 'onWrite-to': onWriteTo }).querySelectorAll<HTMLButtonElement>('li button')
    expect(buttons).toHaveLength(2)
    buttons[0]?.click()
    expect(onWriteTo).toHaveBeenCalledExactlyOnceWith('ben')
    expect(show(known, { canWritePrivately: false }).querySelectorAll('button')).toHaveLength(0)
  })

  it('says that it could not be loaded, and tries again', async () => {
    const onRetry = vi.fn()
    const root = show({ kind: 'failed', reason: 'the chat cannot be reached.' }, { onRetry })
    expect(root.textContent).toContain('This cannot be shown: the chat cannot be reached.')
    await press(root, 'Try again')
    expect(onRetry).toHaveBeenCalledOnce()
    expect(buttonsOf(show({ kind: 'loading' }), 'Try again')).toEqual([])
  })
})
