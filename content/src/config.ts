// What the page reads from `config.json` beside `index.html`: where the API is and who signs people in.
// The file can be edited after the build, so everything in it is checked here and every mistake is told at once.

/** Where this page finds its API, and which provider signs people in. */
export interface Config {
  /** Origin (and path, if any) of the functions and of `/.auth`, without a trailing slash. */
  readonly apiBaseUrl: string
  /** Name of the provider in `/.auth/login/{provider}`. */
  readonly authProvider: string
}

export type ConfigResult = { kind: 'ready', config: Config } | { kind: 'bad', problems: string[] }

// The page's Content-Security-Policy lets it call plain http on these names only.
const LOOPBACK = new Set(['localhost', '127.0.0.1'])

/** Fetches and checks `config.json`, which lies beside the page. Never rejects. */
export async function loadConfig(get: typeof fetch): Promise<ConfigResult> {
  let text: string
  try {
    const response = await get('./config.json', { cache: 'no-cache' })
    if (!response.ok) return bad(`config.json could not be read: the site answered ${response.status}. Put it beside index.html.`)
    text = await response.text()
  } catch {
    return bad('config.json could not be fetched. Check the connection and load the page again.')
  }
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch {
    return bad('config.json is not valid JSON. Look for a missing quote or a comma too many.')
  }
  return parseConfig(raw)
}

/** Checks what `config.json` holds and tells every problem, not only the first. Fields it does not know are ignored. */
export function parseConfig(raw: unknown): ConfigResult {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return bad('config.json must hold one JSON object.')
  const problems: string[] = []
  const apiBaseUrl = parseApiBaseUrl('apiBaseUrl' in raw ? raw.apiBaseUrl : undefined, problems)
  const authProvider = parseProvider('authProvider' in raw ? raw.authProvider : undefined, problems)
  return problems.length === 0 ? { kind: 'ready', config: { apiBaseUrl, authProvider } } : { kind: 'bad', problems }
}

function parseApiBaseUrl(raw: unknown, problems: string[]): string {
  const refuse = (problem: string) => {
    problems.push(`apiBaseUrl ${problem}`)
    return ''
  }
  if (typeof raw !== 'string' || !URL.canParse(raw)) return refuse('must be an address such as "https://my-chat.azurewebsites.net".')
  const url = new URL(raw)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname))) {
    return refuse('must start with https:// (http:// is for localhost and 127.0.0.1 only).')
  }
  if (url.username !== '' || url.password !== '') return refuse('must not hold a user name or a password.')
  if (url.search !== '' || url.hash !== '') return refuse('must end before any "?" or "#".')
  return url.origin + url.pathname.replace(/\/+$/, '')
}

function parseProvider(raw: unknown, problems: string[]): string {
  if (typeof raw === 'string' && /^[\w-]{1,64}$/.test(raw)) return raw
  problems.push('authProvider must be the name of a provider, such as "aad", "google" or "github".')
  return ''
}

function bad(problem: string): ConfigResult {
  return { kind: 'bad', problems: [problem] }
}
