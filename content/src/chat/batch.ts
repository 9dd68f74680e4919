// Gathers items that arrive one by one and hands them over together, so that a flood of them costs few updates of the page.

/** The shortest time between two updates, in milliseconds. A key that is pressed meanwhile is not kept waiting. */
export const BATCH_INTERVAL_MS = 100
/** The most items that wait. With one more they are handed over at once: a hidden page runs its timers seldom. */
export const MAX_BATCH_SIZE = 1000

/** Calls `apply` with all items since the last call: without delay after a pause, else every `BATCH_INTERVAL_MS`. */
export class Batch<Item> {
  private items: Item[] = []
  private timer: ReturnType<typeof setTimeout> | undefined
  private lastApplied = -Infinity

  constructor(private readonly apply: (items: readonly Item[]) => void) {}

  add(item: Item): void {
    this.items.push(item)
    if (this.items.length >= MAX_BATCH_SIZE) this.flush()
    else this.timer ??= setTimeout(() => { this.flush() }, Math.max(0, this.lastApplied + BATCH_INTERVAL_MS - performance.now()))
  }

  /** Hands over the waiting items now. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const items = this.items.splice(0)
    if (items.length > 0) this.apply(items)
    // Measured after the work: the pause between two updates is for the rest of the page.
    this.lastApplied = performance.now()
  }

  /** Drops the waiting items. */
  close(): void {
    clearTimeout(this.timer)
    this.items = []
  }
}
