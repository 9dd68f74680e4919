// How long to wait before another try: quick at first, then slower, and never all pages of a room at the same instant.

const FIRST_MS = 500
const LONGEST_MS = 30_000

/**
 * Milliseconds to wait after `failures` failed tries in a row (1 or more).
 * `random` is in [0, 1); half of the wait is fixed, half is chance, so that many pages cut off together come back apart.
 */
export function backoff(failures: number, random: number): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16))
  return Math.round(whole / 2 + (whole / 2) * random)
}
