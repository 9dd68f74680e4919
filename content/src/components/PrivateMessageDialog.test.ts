import { afterEach, describe, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'
import PrivateMessageDialog from './PrivateMessageDialog.vue'
import { mountExposed, type } from './testSupport'

afterEach(() => { document.body.replaceChildren() })

describe('the dialog for a private message', () => {
  const open = () => {
    const chosen = vi.fn()
    const knownPeople = () => ['Bob@contoso.com', 'carol@contoso.com']
    const { root, exposed } = mountExposed<{ open(): void }>(PrivateMessageDialog, { knownPeople, 'onWrite-to': chosen })
    exposed.open()
    return { root, chosen, write: (name: string) => type(root, name), people: () => [...root.querySelectorAll('li')].map(({ textContent }) => textContent) }
  }

  it('offers known people, and those whose name contains what is typed', async () => {
    const { write, people } = open()
    await nextTick()
    expect(people()).toEqual(['BOBob@contoso.com', 'CAcarol@contoso.com'])
    await write(' bob')
    expect(people()).toEqual(['BOBob@contoso.com'])
    await write('erik')
    expect(people()).toEqual([])
  })

  it('takes the name of a known person as it is', async () => {
    const { root, chosen } = open()
    await nextTick()
    root.querySelector<HTMLButtonElement>('li button')?.click()
    expect(chosen).toHaveBeenCalledExactlyOnceWith('Bob@contoso.com')
  })

  it('takes any other name without white space at its ends, and keeps its letter case', async () => {
    const { root, chosen, write } = open()
    await write('  Dora@Contoso.com ')
    root.querySelector('form')?.dispatchEvent(new Event('submit'))
    expect(chosen).toHaveBeenCalledExactlyOnceWith('Dora@Contoso.com')
  })
})
