// The config.json that goes up. The page's own parser judges it, so that what is uploaded is what the page accepts.
import { parseConfig } from '../src/config'
import { Failure } from './uploadError'

/** What the arguments say about config.json. */
export interface Wanted {
  readonly api?: string | undefined
  readonly provider?: string | undefined
}

const HINT = 'Say where the functions are: --api https://APP.azurewebsites.net'

/**
 * The text of config.json: what the build has in it (`built`), with what is wanted in its place.
 * Throws a `Failure` that names what the page would refuse.
 */
export function siteConfig(built: string, { api, provider }: Wanted): string {
  const raw = { ...parse(built), ...(api !== undefined && { apiBaseUrl: api }), ...(provider !== undefined && { authProvider: provider }) }
  const parsed = parseConfig(raw)
  if (parsed.kind === 'bad') throw new Failure('config', ['config.json would not work:', ...parsed.problems, HINT].join('\n'))
  // The page as it is built asks this machine, which is right here and wrong for everybody else. Plain http is loopback:
  // the parser accepts it nowhere else.
  if (api === undefined && parsed.config.apiBaseUrl.startsWith('http:')) {
    throw new Failure('config', `config.json of the build sends every visitor to their own machine (${parsed.config.apiBaseUrl}).\n${HINT}`)
  }
  return `${JSON.stringify({ ...raw, ...parsed.config }, null, 2)}\n`
}

function parse(built: string): object {
  try {
    const raw: unknown = JSON.parse(built)
    if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return raw
  } catch {
    // Told below, like everything else that is not an object.
  }
  throw new Failure('config', 'config.json of the build does not hold one JSON object. Mend content/public/config.json and build again.')
}
