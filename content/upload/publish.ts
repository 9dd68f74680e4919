// Uploads the files of the site. Unchanged files are skipped. index.html is sent last and stale assets are removed after it, so
// that an interrupted upload leaves a working site.
import { RestError, type BlobServiceClient, type ContainerClient } from '@azure/storage-blob'
import { describe, INDEX, isHashed, NOT_FOUND, type Site, type SiteFile } from './site'
import { STALE_SINCE, planCleanup, type ExistingBlob } from './staleAssets'

type Log = (line: string) => void

interface StoredBlob extends ExistingBlob {
  readonly md5: Uint8Array | undefined
  readonly contentType: string | undefined
  readonly cacheControl: string | undefined
}

/** The container that the static website of an account serves. */
const CONTAINER = '$web'
const MAX_PARALLEL_UPLOADS = 4

/** Enables the account's static website. Other settings of the account are not changed. */
export async function enableStaticWebsite(service: BlobServiceClient, log: Log): Promise<void> {
  const wanted = { enabled: true, indexDocument: INDEX, errorDocument404Path: NOT_FOUND }
  const { staticWebsite } = await service.getProperties()
  const same = staticWebsite?.enabled === true
    && staticWebsite.indexDocument === wanted.indexDocument && staticWebsite.errorDocument404Path === wanted.errorDocument404Path
  if (!same) await service.setProperties({ staticWebsite: wanted })
  log(`${same ? 'unchanged' : 'enabled  '}  static website (${INDEX}; ${NOT_FOUND})`)
}

/** Uploads the changed files and cleans up stale assets. Rejects with the error of the storage client. */
export async function publish(site: Site, service: BlobServiceClient, { now, log }: { now: Date, log: Log }): Promise<void> {
  const container = service.getContainerClient(CONTAINER)
  const existing = await list(container)
  const send = async (file: SiteFile) => {
    const same = isUnchanged(file, existing.get(file.name))
    if (!same) await put(container, file)
    log(`${same ? 'unchanged' : 'uploaded '}  ${describe(file)}`)
  }
  // `site.files` ends with index.html.
  const { files } = site
  await forEachParallel(files.filter(({ name }) => isHashed(name)), send)
  for (const file of files.filter(({ name }) => !isHashed(name))) await send(file)

  const { mark, remove } = planCleanup(existing.values(), name => site.has(name), now)
  for (const name of mark) {
    await container.getBlobClient(name).setMetadata({ [STALE_SINCE]: now.toISOString() })
    log(`stale      ${name}  (kept for a week)`)
  }
  for (const name of remove) {
    await container.deleteBlob(name, { deleteSnapshots: 'include' })
    log(`removed    ${name}`)
  }
}

async function list(container: ContainerClient): Promise<Map<string, StoredBlob>> {
  const blobs = new Map<string, StoredBlob>()
  try {
    for await (const { name, metadata, properties } of container.listBlobsFlat({ includeMetadata: true })) {
      const since = metadata?.[STALE_SINCE]
      const { contentMD5: md5, contentType, cacheControl } = properties
      blobs.set(name, { name, md5, contentType, cacheControl, staleSince: since === undefined ? undefined : new Date(since) })
    }
  } catch (error) {
    // Azure creates the container with the static website; Azurite does not, nor does an upload with --no-website.
    if (!(error instanceof RestError && error.code === 'ContainerNotFound')) throw error
    await container.create()
  }
  return blobs
}

// A file that is marked as stale counts as changed: uploading it removes the mark.
function isUnchanged(file: SiteFile, blob: StoredBlob | undefined): boolean {
  return blob?.md5 !== undefined && file.md5.equals(blob.md5) && blob.staleSince === undefined
    && blob.contentType === file.contentType && blob.cacheControl === file.cacheControl
}

async function put(container: ContainerClient, { name, body, md5, contentType, cacheControl }: SiteFile): Promise<void> {
  await container.getBlockBlobClient(name).uploadData(body, {
    blobHTTPHeaders: { blobContentType: contentType, blobCacheControl: cacheControl, blobContentMD5: md5 },
  })
}

/** Runs `work` for all items, `MAX_PARALLEL_UPLOADS` at a time. */
async function forEachParallel<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const remaining = items.values()
  const worker = async () => {
    for (const item of remaining) await work(item)
  }
  await Promise.all(Array.from({ length: MAX_PARALLEL_UPLOADS }, worker))
}
