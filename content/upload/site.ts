// The files of the built page: what each is sent as, and in which order.
// The order is what keeps visitors whole: while an upload runs, and if it breaks off, the index.html they get is one whose
// assets are all there.
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import mime from 'mime'
import { Failure } from './uploadError'

/** A file as it is to lie in the container. */
export interface SiteFile {
  /** Name of the blob: the path below the folder, with slashes. */
  readonly name: string
  readonly body: Buffer
  readonly md5: Buffer
  readonly contentType: string
  readonly cacheControl: string
}

export const INDEX = 'index.html'
export const NOT_FOUND = '404.html'

// A year, the longest that caches honour. A changed file has another name.
const FOREVER = 'public, max-age=31536000, immutable'
// Kept, but asked about each time: these have to change together with what they name.
const ASK = 'no-cache'
// What has no hash in its name and names nothing, such as the icon.
const AN_HOUR = 'public, max-age=3600'

/** Whether the name of a file changes with its content, as Vite names everything it puts under assets/. */
export function isHashed(name: string): boolean {
  return /^assets\/.+-[\w-]{8}\.\w+(\.map)?$/.test(name)
}

/** `Cache-Control` of the file with this name. */
export function cacheControl(name: string): string {
  if (isHashed(name)) return FOREVER
  return /\.(html|json)$/.test(name) ? ASK : AN_HOUR
}

/** `Content-Type` of the file with this name; text says that it is UTF-8, since blobs are served as they were stored. */
export function contentType(name: string): string {
  const type = mime.getType(name) ?? 'application/octet-stream'
  return /^text\/|[/+](json|xml)$/.test(type) ? `${type}; charset=utf-8` : type
}

export class Site {
  private constructor(private readonly byName: ReadonlyMap<string, SiteFile>) {}

  static of(bodies: Iterable<readonly [name: string, body: Buffer]>): Site {
    return new Site(new Map(Array.from(bodies, ([name, body]) => [name, siteFile(name, body)])))
  }

  /** This site with one file more, or another in its place. */
  with(name: string, text: string): Site {
    return new Site(new Map([...this.byName, [name, siteFile(name, Buffer.from(text))]]))
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  /** In the order in which they may be sent: what index.html names, then what stands alone, then index.html. */
  get files(): SiteFile[] {
    const turn = ({ name }: SiteFile) => name === INDEX ? 2 : isHashed(name) ? 0 : 1
    return [...this.byName.values()].sort((a, b) => turn(a) - turn(b) || (a.name < b.name ? -1 : 1))
  }
}

/** Reads a built page from a folder. Throws a `Failure` if none has been built there. */
export async function readSite(folder: string): Promise<Site> {
  // Looked for alone, so that a folder given by mistake is not read through.
  const built = await stat(join(folder, INDEX)).catch(() => undefined)
  if (built?.isFile() !== true) throw new Failure('not built', `There is no built page in ${folder}. Build it: npm --prefix content run build`)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const names = new Map(paths.map(path => [relative(folder, path).split(sep).join('/'), path]))
  const visible = [...names].filter(([name]) => !isHidden(name))
  return Site.of(await Promise.all(visible.map(async ([name, path]) => [name, await readFile(path)] as const)))
}

/** One line about a file: name, type and how long it is kept. */
export function describe({ name, contentType, cacheControl }: SiteFile): string {
  return `${name}  (${contentType}; ${cacheControl})`
}

function siteFile(name: string, body: Buffer): SiteFile {
  const md5 = createHash('md5').update(body).digest()
  return { name, body, md5, contentType: contentType(name), cacheControl: cacheControl(name) }
}

// Everything in the container is public, and what editors and file managers leave behind is not meant to be.
function isHidden(name: string): boolean {
  return name.split('/').some(part => part.startsWith('.') && part !== '.well-known')
}
