// What becomes of assets that a build no longer has. They are not deleted by the upload that replaces them: somebody may have
// got the index.html that names them a moment ago. Such an asset is marked, and deleted by the first upload after the grace
// period. The mark is needed because a blob's own time says when it was uploaded, not when it was last in use.
import { isHashed } from './site'

/** A blob in the container, as far as it matters here. */
export interface Present {
  readonly name: string
  readonly staleSince: Date | undefined
}

/** Metadata that holds since when a blob is stale, as ISO 8601. */
export const STALE_SINCE = 'stalesince'

/** Long enough for a copy of index.html in some cache on the way; an asset costs next to nothing to keep. */
export const GRACE_MS = 7 * 24 * 60 * 60 * 1000

/** What to do with the blobs that are not `wanted`. Only hashed assets are touched: anything else was put there by somebody. */
export function sweep(present: Iterable<Present>, wanted: (name: string) => boolean, now: Date): { mark: string[], remove: string[] } {
  const mark: string[] = []
  const remove: string[] = []
  for (const { name, staleSince } of present) {
    if (wanted(name) || !isHashed(name)) continue
    if (staleSince === undefined) mark.push(name)
    else if (now.getTime() - staleSince.getTime() > GRACE_MS) remove.push(name)
  }
  return { mark, remove }
}
