import { describe, expect, it } from 'vitest'
import { watchPage } from './pageEvents'

describe('the page', () => {
  it('tells that it, or its network, has gone or come back, until it is not watched any more', () => {
    const seen: string[] = []
    const stop = watchPage({ onOffline: () => seen.push('offline'), onResume: from => seen.push(`from ${from}`) })
    const pageShow = (persisted: boolean) => Object.defineProperty(new Event('pageshow'), 'persisted', { value: persisted })
    const events: [EventTarget, Event][] = [
      [window, new Event('offline')], [window, new Event('online')], [window, pageShow(true)], [window, pageShow(false)],
      [document, new Event('freeze')], [document, new Event('resume')], [document, new Event('visibilitychange')], [window, new Event('pagehide')],
    ]
    for (const [target, event] of events) target.dispatchEvent(event)
    expect(seen).toEqual(['offline', 'from offline', 'from cached', 'from frozen', 'from hidden'])
    stop()
    for (const [target, event] of events) target.dispatchEvent(event)
    expect(seen).toHaveLength(5)
  })
})
