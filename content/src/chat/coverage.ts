// Which ranges of a history are loaded. Pure: positions are texts that compare as they are.

/** A range of a history, from the position `from` to the position `until`. */
export interface Range {
  readonly from: string
  readonly until: string
}

/** The position before all others. */
export const BEGINNING = ''

/** Sorted ranges that neither overlap nor touch. An immutable value. */
export class Coverage {
  static readonly EMPTY = new Coverage([])

  private constructor(readonly ranges: readonly Range[]) {}

  /** Where the oldest range begins; `undefined` if nothing is covered. */
  get start(): string | undefined {
    return this.ranges[0]?.from
  }

  /** Where the newest range ends; `undefined` if nothing is covered. */
  get end(): string | undefined {
    return this.ranges.at(-1)?.until
  }

  /** What is between the ranges, the oldest first. */
  get holes(): readonly Range[] {
    return this.ranges.slice(1).map(({ from }, index) => ({ from: this.ranges[index]?.until ?? from, until: from }))
  }

  /** Adds a range, which may overlap others. */
  add({ from, until }: Range): Coverage {
    const last = this.ranges.at(-1)
    if (last !== undefined && from >= last.from && until <= last.until) return this
    const before = this.ranges.filter(range => range.until < from)
    const after = this.ranges.filter(range => range.from > until)
    const merged = this.ranges.filter(range => range.until >= from && range.from <= until)
    const ends = [from, until, ...merged.flatMap(range => [range.from, range.until])].sort()
    return new Coverage([...before, { from: ends[0] ?? from, until: ends.at(-1) ?? until }, ...after])
  }

  /** Removes what is before `position`. */
  dropBefore(position: string): Coverage {
    const kept = this.ranges.filter(range => range.until >= position)
    return new Coverage(kept.map(range => (range.from < position ? { ...range, from: position } : range)))
  }

  /** Whether there is no hole between `position` and the end. */
  reaches(position: string): boolean {
    const last = this.ranges.at(-1)
    return last !== undefined && last.from <= position
  }
}
