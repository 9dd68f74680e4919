// Parses the arguments of `npm run upload`. All errors are reported at once.
import { parseArgs } from 'node:util'

export interface Options {
  /** Name of the storage account, as in `https://NAME.blob.core.windows.net`. */
  readonly account: string
  /** URL of the blob service if it differs from the default: https, without a path. */
  readonly endpoint?: string | undefined
  /** For config.json: URL of the function app. Validated with the rest of config.json. */
  readonly api?: string | undefined
  /** For config.json: the sign-in provider. */
  readonly provider?: string | undefined
  /** The folder to upload; default `content/dist`. */
  readonly dist?: string | undefined
  /** Whether to enable the account's static website. */
  readonly website: boolean
  readonly dryRun: boolean
}

export type ParsedArguments = { kind: 'help' } | { kind: 'run', options: Options } | { kind: 'invalid', problems: string[] }

// The provider names of App Service Authentication. The name of a custom OpenID Connect provider is set in
// content/public/config.json.
const PROVIDERS = ['aad', 'apple', 'facebook', 'github', 'google', 'microsoftaccount', 'twitter', 'x']

export const USAGE = `Uploads the built page (content/dist) to the static website of an Azure storage account.

  npm --prefix content run upload -- --account NAME [--api URL] [--provider NAME] …

  --account NAME    the storage account
  --api URL         URL of the function app, such as https://my-chat.azurewebsites.net; written into config.json
  --provider NAME   sign-in provider; written into config.json: ${PROVIDERS.join(', ')}
  --endpoint URL    the blob service, if it is not https://NAME.blob.core.windows.net
  --dist FOLDER     upload this folder instead of content/dist
  --no-website      leave the account's static website setting alone
  --dry-run         list what would be uploaded, and send nothing

Uses your sign-in on this machine (az login, azd auth login, a managed identity, …); no key is needed.
AZURE_STORAGE_CONNECTION_STRING in the environment takes precedence; it is meant for Azurite.`

/** Parses the arguments that follow the program's name. */
export function parseOptions(args: string[]): ParsedArguments {
  let values
  try {
    values = parse(args)
  } catch (error) {
    return { kind: 'invalid', problems: [error instanceof Error ? error.message : 'The arguments cannot be read.'] }
  }
  if (values.help) return { kind: 'help' }
  const { account = '', endpoint, api, provider, dist } = values
  const problems = [accountProblem(account), endpointProblem(endpoint), providerProblem(provider)].filter(problem => problem !== undefined)
  if (problems.length > 0) return { kind: 'invalid', problems }
  const options = { account, endpoint, api, provider, dist, website: !values['no-website'], dryRun: values['dry-run'] }
  return { kind: 'run', options }
}

function parse(args: string[]) {
  return parseArgs({
    args,
    options: {
      'account': { type: 'string' },
      'api': { type: 'string' },
      'provider': { type: 'string' },
      'endpoint': { type: 'string' },
      'dist': { type: 'string' },
      'no-website': { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      'help': { type: 'boolean', default: false },
    },
  }).values
}

function accountProblem(account: string): string | undefined {
  if (/^[a-z0-9]{3,24}$/.test(account)) return undefined
  return '--account must be the name of a storage account: 3 to 24 lowercase letters and digits, not an address.'
}

function endpointProblem(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  // Rejects user names, paths and queries.
  if (url?.protocol === 'https:' && url.href === `${url.origin}/`) return undefined
  return '--endpoint must be an https address without a path, such as https://NAME.blob.core.windows.net.'
}

function providerProblem(provider: string | undefined): string | undefined {
  if (provider === undefined || PROVIDERS.includes(provider)) return undefined
  return `--provider must be one of ${PROVIDERS.join(', ')}. Set other names in content/public/config.json.`
}
