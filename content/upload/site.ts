// The files of the built page, with their headers and the order of upload.
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import mime from 'mime'
import { UploadError } from './uploadError'

/** A file as it is uploaded. */
export interface SiteFile {
  /** Name of the blob: the path relative to the folder, with slashes. */
  readonly name: string
  readonly body: Buffer
  readonly md5: Buffer
  readonly contentType: string
  readonly cacheControl: string
}

export const INDEX = 'index.html'
export const NOT_FOUND = '404.html'

// For files whose name changes with their content.
const IMMUTABLE = 'public, max-age=31536000, immutable'
// For files that reference others.
const REVALIDATE = 'no-cache'
// For all other files, such as the icon.
const ONE_HOUR = 'public, max-age=3600'

/** Whether the file name contains a hash, as Vite writes it for assets. */
export function isHashed(name: string): boolean {
  return /^assets\/.+-[\w-]{8}\.\w+(\.map)?$/.test(name)
}

/** `Cache-Control` of the file with this name. */
export function cacheControl(name: string): string {
  if (isHashed(name)) return IMMUTABLE
  return /\.(html|json)$/.test(name) ? REVALIDATE : ONE_HOUR
}

/** `Content-Type` of the file with this name, with `charset=utf-8` for text. */
export function contentType(name: string): string {
  const type = mime.getType(name) ?? 'application/octet-stream'
  return /^text\/|[/+](json|xml)$/.test(type) ? `${type}; charset=utf-8` : type
}

export class Site {
  private constructor(private readonly byName: ReadonlyMap<string, SiteFile>) {}

  static of(bodies: Iterable<readonly [name: string, body: Buffer]>): Site {
    return new Site(new Map(Array.from(bodies, ([name, body]) => [name, siteFile(name, body)])))
  }

  /** This site with a file added or replaced. */
  with(name: string, text: string): Site {
    return new Site(new Map([...this.byName, [name, siteFile(name, Buffer.from(text))]]))
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  /** The files in the order of upload: hashed assets, other files, index.html. An old index.html never lacks its assets. */
  get files(): SiteFile[] {
    const order = ({ name }: SiteFile) => name === INDEX ? 2 : isHashed(name) ? 0 : 1
    return [...this.byName.values()].sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1))
  }
}

/** Reads a built page from a folder. Throws an `UploadError` if there is no index.html. */
export async function readSite(folder: string): Promise<Site> {
  // Checked first, so that a wrong folder is not read completely.
  const built = await stat(join(folder, INDEX)).catch(() => undefined)
  if (built?.isFile() !== true) throw new UploadError('not built', `There is no built page in ${folder}. Build it: npm --prefix content run build`)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const names = new Map(paths.map(path => [relative(folder, path).split(sep).join('/'), path]))
  const visible = [...names].filter(([name]) => !isHidden(name))
  return Site.of(await Promise.all(visible.map(async ([name, path]) => [name, await readFile(path)] as const)))
}

/** One line about a file: name, type and caching. */
export function describe({ name, contentType, cacheControl }: SiteFile): string {
  return `${name}  (${contentType}; ${cacheControl})`
}

function siteFile(name: string, body: Buffer): SiteFile {
  const md5 = createHash('md5').update(body).digest()
  return { name, body, md5, contentType: contentType(name), cacheControl: cacheControl(name) }
}

// Everything in the container is public; hidden files are not meant to be.
function isHidden(name: string): boolean {
  return name.split('/').some(part => part.startsWith('.') && part !== '.well-known')
}
