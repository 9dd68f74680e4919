// The delay before a retry: exponential with jitter.

const INITIAL_DELAY_MS = 500
const MAX_DELAY_MS = 30_000

/**
 * Milliseconds to wait after `failures` failed attempts in a row (1 or more).
 * `random` is in [0, 1): half of the delay is fixed and half is random, so that many pages do not reconnect at the same instant.
 */
export function backoff(failures: number, random: number): number {
  const delay = Math.min(MAX_DELAY_MS, INITIAL_DELAY_MS * 2 ** Math.min(failures - 1, 16))
  return Math.round(delay / 2 + (delay / 2) * random)
}
