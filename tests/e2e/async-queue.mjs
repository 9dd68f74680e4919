// A queue whose consumer waits for the next item.

export function asyncQueue() {
  const items = []
  const consumers = []
  return {
    push(item) {
      const consumer = consumers.shift()
      if (consumer) consumer(item)
      else items.push(item)
    },
    /** Resolves with the next item. */
    next: () => items.length > 0 ? Promise.resolve(items.shift()) : new Promise(resolve => consumers.push(resolve)),
  }
}
