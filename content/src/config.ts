// Reads and validates `config.json` beside `index.html`. The file can be edited after the build, so all errors are reported at once.

/** The content of `config.json`. */
export interface Config {
  /** Base URL of the API and of `/.auth`, without a trailing slash. */
  readonly apiBaseUrl: string
  /** Name of the sign-in provider in `/.auth/login/{provider}`. */
  readonly authProvider: string
}

export type ConfigResult = { kind: 'valid', config: Config } | { kind: 'invalid', problems: string[] }

// The page's Content-Security-Policy allows plain http for these names only.
const LOOPBACK = new Set(['localhost', '127.0.0.1'])

/** Fetches and validates `config.json`. Never rejects. */
export async function loadConfig(get: typeof fetch): Promise<ConfigResult> {
  let text: string
  try {
    const response = await get('./config.json', { cache: 'no-cache' })
    if (!response.ok) return invalid(`config.json could not be read: the site answered ${response.status}. Put it beside index.html.`)
    text = await response.text()
  } catch {
    return invalid('config.json could not be fetched. Check the connection and load the page again.')
  }
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch {
    return invalid('config.json is not valid JSON. Look for a missing quote or an extra comma.')
  }
  return parseConfig(raw)
}

/** Validates the content of `config.json`. Unknown fields are ignored. */
export function parseConfig(raw: unknown): ConfigResult {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return invalid('config.json must hold one JSON object.')
  const problems: string[] = []
  const apiBaseUrl = parseApiBaseUrl('apiBaseUrl' in raw ? raw.apiBaseUrl : undefined, problems)
  const authProvider = parseProvider('authProvider' in raw ? raw.authProvider : undefined, problems)
  return problems.length === 0 ? { kind: 'valid', config: { apiBaseUrl, authProvider } } : { kind: 'invalid', problems }
}

function parseApiBaseUrl(raw: unknown, problems: string[]): string {
  const reject = (problem: string) => {
    problems.push(`apiBaseUrl ${problem}`)
    return ''
  }
  if (typeof raw !== 'string' || !URL.canParse(raw)) return reject('must be an address such as "https://my-chat.azurewebsites.net".')
  const url = new URL(raw)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname))) {
    return reject('must start with https:// (http:// is for localhost and 127.0.0.1 only).')
  }
  if (url.username !== '' || url.password !== '') return reject('must not hold a user name or a password.')
  if (url.search !== '' || url.hash !== '') return reject('must end before any "?" or "#".')
  return url.origin + url.pathname.replace(/\/+$/, '')
}

function parseProvider(raw: unknown, problems: string[]): string {
  if (typeof raw === 'string' && /^[\w-]{1,64}$/.test(raw)) return raw
  problems.push('authProvider must be the name of a provider, such as "aad", "google" or "github".')
  return ''
}

function invalid(problem: string): ConfigResult {
  return { kind: 'invalid', problems: [problem] }
}
