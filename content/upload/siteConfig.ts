// Builds the config.json that is uploaded, and validates it with the parser of the page.
import { parseConfig } from '../src/config'
import { UploadError } from './uploadError'

/** The arguments about config.json. */
export interface ConfigOptions {
  readonly api?: string | undefined
  readonly provider?: string | undefined
}

const HINT = 'Set the URL of the function app: --api https://APP.azurewebsites.net'

/** The text of config.json: the content of the build with the arguments applied. Throws an `UploadError` if it is invalid. */
export function buildSiteConfig(built: string, { api, provider }: ConfigOptions): string {
  const raw = { ...parse(built), ...(api !== undefined && { apiBaseUrl: api }), ...(provider !== undefined && { authProvider: provider }) }
  const parsed = parseConfig(raw)
  if (parsed.kind === 'invalid') throw new UploadError('config', ['config.json is invalid:', ...parsed.problems, HINT].join('\n'))
  // The default of the build is localhost, which is wrong for visitors. The parser accepts plain http for loopback only.
  if (api === undefined && parsed.config.apiBaseUrl.startsWith('http:')) {
    throw new UploadError('config', `config.json of the build sends every visitor to their own machine (${parsed.config.apiBaseUrl}).\n${HINT}`)
  }
  return `${JSON.stringify({ ...raw, ...parsed.config }, null, 2)}\n`
}

function parse(built: string): object {
  try {
    const raw: unknown = JSON.parse(built)
    if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return raw
  } catch {
    // Reported below.
  }
  throw new UploadError('config', 'config.json of the build does not hold one JSON object. Correct content/public/config.json and build again.')
}
