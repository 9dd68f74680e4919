// The tab's own storage. Browsers that forbid it throw on the first touch; then the page remembers until it is reloaded.

export type TabStore = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export function tabStore(): TabStore {
  try {
    sessionStorage.getItem('')
    return sessionStorage
  } catch {
    const memory = new Map<string, string>()
    return {
      getItem: name => memory.get(name) ?? null,
      setItem: (name, value) => { memory.set(name, value) },
      removeItem: (name) => { memory.delete(name) },
    }
  }
}
