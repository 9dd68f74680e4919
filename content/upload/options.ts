// The arguments of `npm run upload`. Every mistake is told at once, and nothing is looked up to judge them.
import { parseArgs } from 'node:util'

export interface Options {
  /** Name of the storage account, as in `https://NAME.blob.core.windows.net`. */
  readonly account: string
  /** Where the blob service is, when it is not at the address that the name gives. Always https, without a path. */
  readonly endpoint?: string | undefined
  /** For config.json: where the functions are. Checked with the rest of config.json. */
  readonly api?: string | undefined
  /** For config.json: who signs people in. */
  readonly provider?: string | undefined
  /** The folder to upload; `content/dist` when absent. */
  readonly dist?: string | undefined
  /** Whether to switch the account's static website on. */
  readonly website: boolean
  readonly dryRun: boolean
}

export type Asked = { kind: 'help' } | { kind: 'run', options: Options } | { kind: 'bad', problems: string[] }

// Names under /.auth/login/ of App Service Authentication. An OpenID provider of one's own has a name of one's own; it comes
// in through content/public/config.json, where it cannot be a slip of the finger in a command.
const PROVIDERS = ['aad', 'apple', 'facebook', 'github', 'google', 'microsoftaccount', 'twitter', 'x']

export const USAGE = `Uploads the built page (content/dist) to the static website of an Azure storage account.

  npm --prefix content run upload -- --account NAME [--api URL] [--provider NAME] …

  --account NAME    the storage account
  --api URL         where the functions are, such as https://my-chat.azurewebsites.net; written into config.json
  --provider NAME   who signs people in; written into config.json: ${PROVIDERS.join(', ')}
  --endpoint URL    the blob service, if it is not https://NAME.blob.core.windows.net
  --dist FOLDER     upload this folder instead of content/dist
  --no-website      leave the account's static website setting alone
  --dry-run         say what would be uploaded, and send nothing

Signs in as you are signed in on this machine (az login, azd auth login, a managed identity, …); no key is needed.
AZURE_STORAGE_CONNECTION_STRING in the environment is used instead if it is set; it is meant for Azurite.`

/** Reads the arguments that follow the program's name. */
export function readOptions(args: string[]): Asked {
  let values
  try {
    values = parse(args)
  } catch (error) {
    // parseArgs names the argument and says what it expected.
    return { kind: 'bad', problems: [error instanceof Error ? error.message : 'The arguments cannot be read.'] }
  }
  if (values.help) return { kind: 'help' }
  const { account = '', endpoint, api, provider, dist } = values
  const problems = [accountProblem(account), endpointProblem(endpoint), providerProblem(provider)].filter(said => said !== undefined)
  if (problems.length > 0) return { kind: 'bad', problems }
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
  return '--account must be the name of a storage account: 3 to 24 small letters and digits, not an address.'
}

function endpointProblem(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  // Compared as a whole: no user name, no path, no query.
  if (url?.protocol === 'https:' && url.href === `${url.origin}/`) return undefined
  return '--endpoint must be an https address without a path, such as https://NAME.blob.core.windows.net.'
}

function providerProblem(provider: string | undefined): string | undefined {
  if (provider === undefined || PROVIDERS.includes(provider)) return undefined
  return `--provider must be one of ${PROVIDERS.join(', ')}. A provider of another name is set in content/public/config.json.`
}
