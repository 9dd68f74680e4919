import { afterEach, describe, expect, it, vi } from 'vitest'
import AppHeader from './AppHeader.vue'
import { buttonsOf, mount, press } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

const user = { kind: 'user', userId: 'ann@contoso.com' }
const guest = { kind: 'guest', nickname: 'Gus' }
const show = (props: Record<string, unknown>) => mount(AppHeader, { me: user, name: 'Ann Lee', accessTokenLink: undefined, ...props })

describe('the person in the sidebar', () => {
  it('is shown with the display name, and the sign-in name on hover', () => {
    const name = show({}).querySelector('bdi')
    expect([name?.textContent, name?.title]).toEqual(['Ann Lee', 'ann@contoso.com'])
  })

  it('can sign out', async () => {
    const onLeave = vi.fn()
    const root = show({ onLeave })
    expect(buttonsOf(root, 'Sign in')).toEqual([])
    await press(root, 'Sign out')
    expect(onLeave).toHaveBeenCalledOnce()
  })

  it('as a guest is not verified, and can sign in or leave', async () => {
    const handlers = { onLeave: vi.fn(), 'onSign-in': vi.fn() }
    const root = show({ me: guest, name: 'Gus', ...handlers })
    expect(root.textContent).toContain('guest, not verified')
    await press(root, 'Sign in')
    await press(root, 'Leave')
    for (const handler of Object.values(handlers)) expect(handler).toHaveBeenCalledOnce()
  })

  it('has a link to the page with the access token only where there is one', () => {
    expect(show({ accessTokenLink: '#access-token' }).querySelector('a')?.getAttribute('href')).toBe('#access-token')
    expect(show({}).querySelector('a')).toBeNull()
  })
})
