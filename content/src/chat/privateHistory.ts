// The history of a person's private messages: it is one for the threads with all people. Pure: no I/O and no clock.
import { Coverage } from './coverage'
import type { Range } from './coverage'
import type { HistoryPage } from './historyApi'
import type { ReaderTarget } from './streamReader'
import type { LoadState } from './thread'
import type { ThreadState } from './threadState'

export class PrivateHistory {
  private coverage = Coverage.EMPTY
  /** Another one after all that was read was dropped. */
  epoch = Symbol('epoch')
  /** The holes that are shown, by where they begin. */
  private readonly holes = new Map<string, LoadState>()
  /** Whether a thread with a person was dropped: what was loaded of it is no longer here. */
  private hasDropped = false

  /** `people`: the threads with people. `mark`: where the history ended when it was first seen, if it was. */
  constructor(private readonly people: () => readonly ThreadState[], public mark: string | undefined) {}

  /** Records that a range is loaded. */
  cover(range: Range): void {
    this.coverage = this.coverage.add(range)
    for (const state of this.people()) state.change((stream) => { stream.cover(range) })
  }

  /** Tells the new thread of a person what is loaded. Where threads were dropped, only what is said from now on is. */
  addThread({ stream }: ThreadState): void {
    const { ranges, end } = this.coverage
    if (!this.hasDropped) for (const range of ranges) stream.cover(range)
    else if (end !== undefined) stream.cover({ from: end, until: end })
    for (const [from, state] of this.holes) stream.setHole(from, state)
  }

  /** To be called when the thread of a person was dropped. */
  dropThread(): void {
    this.hasDropped = true
  }

  /** Drops all messages, which the person has erased. */
  erase(): void {
    this.forget()
    for (const state of this.people()) state.clear()
  }

  /** Drops everything that is known: the history is another one than before. */
  reset(): void {
    this.forget()
    this.mark = undefined
    for (const state of this.people()) state.reset()
  }

  /** What the reader of this history reads into. */
  target(insertPage: (page: HistoryPage) => void): ReaderTarget {
    const [coverage, epoch] = [() => this.coverage, () => this.epoch]
    return {
      get coverage() { return coverage() },
      get epoch() { return epoch() },
      addPage: (page, range) => {
        this.cover(range)
        insertPage(page)
        this.mark ??= this.coverage.end
        for (const state of this.people()) state.markSeen(this.mark)
      },
      dropBefore: (position) => {
        this.coverage = this.coverage.dropBefore(position)
        for (const state of this.people()) state.dropBefore(position)
      },
      reset: () => { this.reset() },
      setHole: (from, hole) => {
        const { holes } = this.coverage
        for (const known of this.holes.keys()) if (!holes.some(one => one.from === known)) this.holes.delete(known)
        this.holes.set(from, hole)
        for (const state of this.people()) state.change((stream) => { stream.setHole(from, hole) })
      },
      setOlder: (older) => { for (const state of this.people()) state.setOlder(older) },
    }
  }

  private forget(): void {
    this.coverage = Coverage.EMPTY
    this.epoch = Symbol('epoch')
    this.holes.clear()
    this.hasDropped = false
  }
}
