// The tab's sessionStorage, or memory that lasts until a reload where the browser forbids sessionStorage.

export type TabStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export function openTabStorage(): TabStorage {
  try {
    // Browsers that forbid storage throw on the first access.
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
