// The browser's storage, or memory that lasts until a reload where the browser forbids it.

export type TabStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

/** What lasts as long as the tab: `sessionStorage`. */
export function openTabStorage(): TabStorage {
  return open(() => sessionStorage)
}

/** What all tabs share and what outlasts them: `localStorage`. */
export function openBrowserStorage(): TabStorage {
  return open(() => localStorage)
}

function open(storage: () => Storage): TabStorage {
  try {
    // Browsers that forbid storage throw on the first access.
    storage().getItem('')
    return storage()
  } catch {
    const memory = new Map<string, string>()
    return {
      getItem: name => memory.get(name) ?? null,
      setItem: (name, value) => { memory.set(name, value) },
      removeItem: (name) => { memory.delete(name) },
    }
  }
}
