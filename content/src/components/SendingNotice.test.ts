import { afterEach, describe, expect, it } from 'vitest'
import SendingNotice from './SendingNotice.vue'
import { mount } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

describe('the notice about sending too fast', () => {
  it.each([[12_000, 'in 12\u00a0seconds'], [900, 'in 1\u00a0second'], [-5000, 'now']])('says when sending continues: %i ms', (left, when) => {
    const root = mount(SendingNotice, { until: Date.now() + left, signedIn: true })
    expect(root.textContent).toContain(`Sending too fast. Your messages are kept. Sending continues ${when}.`)
  })
})

describe('the notice to a guest, who shares the limit with other guests,', () => {
  it('does not blame the guest', () => {
    expect(mount(SendingNotice, { until: Date.now() + 1000, signedIn: false }).textContent).toContain('Too many messages from guests. Your messages are kept.')
  })
})
