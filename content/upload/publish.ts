// The upload itself. A file that lies there already, byte for byte and header for header, is not sent again; index.html is
// sent last and old assets are swept after it, so that an upload may break off at any point and leave a site that works.
import { RestError, type BlobServiceClient, type ContainerClient } from '@azure/storage-blob'
import { describe, INDEX, isHashed, NOT_FOUND, type Site, type SiteFile } from './site'
import { STALE_SINCE, sweep, type Present } from './staleAssets'

type Say = (line: string) => void

interface PresentBlob extends Present {
  readonly md5: Uint8Array | undefined
  readonly contentType: string | undefined
  readonly cacheControl: string | undefined
}

/** The container that the static website of an account serves. */
const CONTAINER = '$web'
const AT_ONCE = 4

/** Switches the account's static website on, unless it is as wanted. Other settings of the account stay as they are. */
export async function enableWebsite(service: BlobServiceClient, say: Say): Promise<void> {
  const wanted = { enabled: true, indexDocument: INDEX, errorDocument404Path: NOT_FOUND }
  const { staticWebsite } = await service.getProperties()
  const same = staticWebsite?.enabled === true
    && staticWebsite.indexDocument === wanted.indexDocument && staticWebsite.errorDocument404Path === wanted.errorDocument404Path
  if (!same) await service.setProperties({ staticWebsite: wanted })
  say(`${same ? 'unchanged' : 'enabled  '}  static website (${INDEX}; ${NOT_FOUND})`)
}

/** Brings the container in line with the site. Rejects with what the storage client threw, leaving the old index.html in place. */
export async function publish(site: Site, service: BlobServiceClient, { now, say }: { now: Date, say: Say }): Promise<void> {
  const container = service.getContainerClient(CONTAINER)
  const present = await list(container)
  const send = async (file: SiteFile) => {
    const same = isSame(file, present.get(file.name))
    if (!same) await put(container, file)
    say(`${same ? 'unchanged' : 'uploaded '}  ${describe(file)}`)
  }
  // In the site's order, which ends with index.html.
  const { files } = site
  await atOnce(files.filter(({ name }) => isHashed(name)), send)
  for (const file of files.filter(({ name }) => !isHashed(name))) await send(file)

  const { mark, remove } = sweep(present.values(), name => site.has(name), now)
  for (const name of mark) {
    await container.getBlobClient(name).setMetadata({ [STALE_SINCE]: now.toISOString() })
    say(`stale      ${name}  (kept for a week)`)
  }
  for (const name of remove) {
    await container.deleteBlob(name, { deleteSnapshots: 'include' })
    say(`removed    ${name}`)
  }
}

async function list(container: ContainerClient): Promise<Map<string, PresentBlob>> {
  const present = new Map<string, PresentBlob>()
  try {
    for await (const { name, metadata, properties } of container.listBlobsFlat({ includeMetadata: true })) {
      const since = metadata?.[STALE_SINCE]
      const { contentMD5: md5, contentType, cacheControl } = properties
      present.set(name, { name, md5, contentType, cacheControl, staleSince: since === undefined ? undefined : new Date(since) })
    }
  } catch (error) {
    // Enabling the website creates the container on Azure, but not on Azurite, and not where the website is left alone.
    if (!(error instanceof RestError && error.code === 'ContainerNotFound')) throw error
    await container.create()
  }
  return present
}

// A file that was marked as stale and is wanted again is sent again, which takes the mark off.
function isSame(file: SiteFile, there: PresentBlob | undefined): boolean {
  return there?.md5 !== undefined && file.md5.equals(there.md5) && there.staleSince === undefined
    && there.contentType === file.contentType && there.cacheControl === file.cacheControl
}

async function put(container: ContainerClient, { name, body, md5, contentType, cacheControl }: SiteFile): Promise<void> {
  await container.getBlockBlobClient(name).uploadData(body, {
    blobHTTPHeaders: { blobContentType: contentType, blobCacheControl: cacheControl, blobContentMD5: md5 },
  })
}

/** Runs `work` over all items, a few at a time. */
async function atOnce<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values()
  const worker = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
