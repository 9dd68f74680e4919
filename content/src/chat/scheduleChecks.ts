// When the histories are checked for messages that did not arrive: a hole at the end shows in no other way.

/** Once more after a connect, because the service may lose messages while connections move. */
const SECOND_CHECK_MS = 5000
const CHECK_INTERVAL_MS = 60_000

/**
 * Calls `check` 5 s after each connect, when the window gets the focus, when the page or the network is back, and once a minute
 * while the page is visible, until `close`.
 */
export function scheduleChecks(check: () => Promise<void>) {
  const watching = new AbortController()
  const { signal } = watching
  const checkIfVisible = () => { if (!document.hidden) void check() }
  for (const event of ['focus', 'online', 'pageshow']) window.addEventListener(event, checkIfVisible, { signal })
  document.addEventListener('visibilitychange', checkIfVisible, { signal })
  const interval = setInterval(checkIfVisible, CHECK_INTERVAL_MS)
  let second: ReturnType<typeof setTimeout> | undefined
  return {
    /** To be called with each connect, together with a first check. */
    onConnected: () => {
      if (signal.aborted) return
      clearTimeout(second)
      second = setTimeout(() => void check(), SECOND_CHECK_MS)
    },
    close: () => {
      watching.abort()
      clearInterval(interval)
      clearTimeout(second)
    },
  }
}
