// The cleanup of assets that are not in the build any more. Cached copies of index.html may still reference them, so an upload
// marks them first, and deletes them after a grace period. A blob's own time is the time of its upload, not of its last use.
import { isHashed } from './site'

/** A blob in the container. */
export interface ExistingBlob {
  readonly name: string
  readonly staleSince: Date | undefined
}

/** Metadata key with the time since when a blob is stale, in ISO 8601. */
export const STALE_SINCE = 'stalesince'

/** How long stale assets are kept. */
export const GRACE_PERIOD_MS = 7 * 24 * 60 * 60 * 1000

/** Which blobs to mark and which to remove. Only hashed assets are considered: other blobs may have been uploaded by hand. */
export function planCleanup(existing: Iterable<ExistingBlob>, isInBuild: (name: string) => boolean, now: Date): { mark: string[], remove: string[] } {
  const mark: string[] = []
  const remove: string[] = []
  for (const { name, staleSince } of existing) {
    if (isInBuild(name) || !isHashed(name)) continue
    if (staleSince === undefined) mark.push(name)
    else if (now.getTime() - staleSince.getTime() > GRACE_PERIOD_MS) remove.push(name)
  }
  return { mark, remove }
}
