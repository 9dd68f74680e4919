import { afterEach, describe, expect, it } from 'vitest'
import { buttonsOf, mount } from './testSupport'
import WelcomeCard from './WelcomeCard.vue'

afterEach(() => { document.body.replaceChildren() })

const known = (guests: boolean) => ({ kind: 'known', features: { guests, accessTokens: true } })
const failed = (failure: object) => ({ kind: 'failed', failure })
const show = (props: Record<string, unknown>) => mount(WelcomeCard, {
  view: 'welcome', provider: 'aad', nickname: '', note: '', name: '', features: known(true), room: undefined, ...props,
})

describe('the card before the chat', () => {
  it.each([
    ['guests may join', known(true), true, ''],
    ['guests may not join', known(false), false, ''],
    ['it is not known yet', undefined, false, 'Checking whether guests can join…'],
    ['the chat cannot be reached', failed({ kind: 'transient', reason: 'the chat cannot be reached.' }), false, 'It could not be checked whether guests can join: the chat cannot be reached.'],
  ])('offers what is allowed if %s', (_, features, offersJoin, text) => {
    const root = show({ features })
    expect(buttonsOf(root, 'Join')).toHaveLength(offersJoin ? 1 : 0)
    expect(buttonsOf(root, 'Sign in with Microsoft')).toHaveLength(1)
    expect(root.textContent).toContain(text)
    if (text === '') expect(root.textContent).not.toContain('check')
  })

  it('says which room a link leads to', () => {
    expect(show({ room: 'games', features: known(false) }).textContent).toContain('Sign in to enter #games.')
    expect(show({ room: 'games', features: known(true) }).textContent).toContain('Sign in, or join as a guest, to enter #games.')
  })

  it('says why one is here, and still which room a link leads to', () => {
    const text = show({ note: 'Your sign-in is no longer valid.', room: 'games' }).textContent
    expect(text).toContain('Your sign-in is no longer valid.')
    expect(text).toContain('#games')
  })
})
