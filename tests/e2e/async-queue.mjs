// Things that come by themselves, for tests that want them one by one.

/** Keeps what is `put` until somebody asks for the `next`; whoever asks too early waits. */
export function inbox() {
  const arrived = []
  const waiting = []
  return {
    put(item) {
      const next = waiting.shift()
      if (next) next(item)
      else arrived.push(item)
    },
    next: () => arrived.length > 0 ? Promise.resolve(arrived.shift()) : new Promise(resolve => waiting.push(resolve)),
  }
}
