// The events of a browser that say that the network or the page has gone or come back.
import type { Resumed } from './connectionState'

export interface PageEventHandlers {
  readonly onOffline: () => void
  /** The page or its network is back. */
  readonly onResume: (from: Resumed) => void
}

/** Watches until the returned function is called. A page that is frozen or cached runs no code, so nothing has to be done before that. */
export function watchPage({ onOffline, onResume }: PageEventHandlers): () => void {
  const watching = new AbortController()
  const { signal } = watching
  window.addEventListener('offline', onOffline, { signal })
  window.addEventListener('online', () => { onResume('offline') }, { signal })
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) onResume('cached')
  }, { signal })
  document.addEventListener('resume', () => { onResume('frozen') }, { signal })
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) onResume('hidden')
  }, { signal })
  return () => { watching.abort() }
}
