// The errors of an upload: an exit code, and a message that says what to do.
// Messages of the service are not repeated, because the one about a wrong signature contains the signed request.
import { RestError } from '@azure/storage-blob'

// The codes of sysexits.h.
const EXIT_CODES = {
  'arguments': 64,
  'not built': 66,
  'not signed in': 67,
  'no account': 69,
  'unexpected': 70,
  'no permission': 77,
  'config': 78,
}

/** An error with a message for the user. */
export class UploadError extends Error {
  readonly exitCode: number

  constructor(kind: keyof typeof EXIT_CODES, message: string) {
    super(message)
    this.exitCode = EXIT_CODES[kind]
  }
}

/** The step of the upload; each needs a different role. */
export type Step = 'website' | 'files'

/** The account and the step in which an error occurred. */
export interface UploadContext {
  readonly name: string
  readonly endpoint: string
  readonly signIn: 'identity' | 'connection string'
  readonly step: Step
}

// By name: importing the classes would load @azure/identity, which is not needed with a connection string.
const SIGN_IN_ERRORS = [
  'AggregateAuthenticationError', 'AuthenticationError', 'AuthenticationRequiredError', 'CredentialUnavailableError',
]
const NETWORK_ERRORS = ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'REQUEST_SEND_ERROR']

/** Converts an error of the storage client or the sign-in. Throws `error` itself if it is anything else. */
export function toUploadError(error: unknown, context: UploadContext): UploadError {
  if (error instanceof UploadError) return error
  if (error instanceof Error && SIGN_IN_ERRORS.includes(error.name)) return notSignedIn()
  if (!(error instanceof RestError)) throw error
  const code = error.code ?? 'unknown'
  if (error.statusCode === 401) return otherTenant()
  if (error.statusCode === 403) return forbidden(code, context)
  if (NETWORK_ERRORS.includes(code)) return unreachable(context)
  if (error.statusCode === 404) return new UploadError('no account', `There is no account named ${context.name} at ${context.endpoint}.`)
  const request = error.response?.headers.get('x-ms-request-id') ?? 'none'
  return new UploadError('unexpected', `The storage account answered ${error.statusCode ?? 'nothing'} (${code}, request ${request}). Try again; the site still works.`)
}

function notSignedIn(): UploadError {
  return new UploadError('not signed in', 'You are not signed in to Azure. Sign in with `az login` or `azd auth login`, then upload again.')
}

function otherTenant(): UploadError {
  return new UploadError('not signed in', 'The account belongs to a different tenant than your sign-in. Run: az login --tenant TENANT')
}

function unreachable({ name, endpoint }: UploadContext): UploadError {
  return new UploadError('no account', `${endpoint} cannot be reached. Is there a storage account named ${name}, and can this machine reach it?`)
}

function forbidden(code: string, { name, signIn, step }: UploadContext): UploadError {
  const error = (message: string) => new UploadError('no permission', message)
  if (code === 'KeyBasedAuthenticationNotPermitted') {
    return error(`${name} does not accept keys. Unset AZURE_STORAGE_CONNECTION_STRING and sign in with \`az login\`.`)
  }
  if (signIn === 'connection string') {
    return error(`${name} refuses the key or signature in AZURE_STORAGE_CONNECTION_STRING. Use the current one, or unset it and sign in with \`az login\`.`)
  }
  if (code === 'AuthorizationFailure') return error(`The firewall of ${name} blocks this machine (Networking, Public network access).`)
  return error(step === 'website' ? cannotConfigure(name) : cannotWrite(name))
}

function cannotWrite(name: string): string {
  return [
    `You are signed in, but have no permission to write to ${name}; the role Owner is not enough. Assign this role, wait a few minutes, and upload again:`,
    ...assignCommand(name, 'Storage Blob Data Contributor'),
  ].join('\n')
}

function cannotConfigure(name: string): string {
  return [
    `You are signed in, but have no permission to enable the static website of ${name}. Ask an administrator to run this, then add --no-website:`,
    `  az storage blob service-properties update --account-name ${name} --auth-mode login --static-website true --index-document index.html --404-document 404.html`,
    'or assign this role, wait a few minutes, and upload again:',
    ...assignCommand(name, 'Storage Account Contributor'),
  ].join('\n')
}

function assignCommand(name: string, role: string): string[] {
  return [
    `  az role assignment create --role "${role}" --assignee "$(az ad signed-in-user show --query id --output tsv)" \\`,
    `    --scope "$(az storage account show --name ${name} --query id --output tsv)"`,
  ]
}
