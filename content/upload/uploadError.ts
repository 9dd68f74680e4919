// What can go wrong, as an exit code and a sentence that says what to do.
// The service's own messages are never repeated: one about a wrong signature holds the signed request.
import { RestError } from '@azure/storage-blob'

// The codes of sysexits.h, which `handler` uses too.
const EXIT_CODES = {
  'arguments': 64,
  'not built': 66,
  'not signed in': 67,
  'no account': 69,
  'unexpected': 70,
  'no permission': 77,
  'config': 78,
}

/** An end with a reason. The message is meant for the person who started the upload. */
export class Failure extends Error {
  readonly exitCode: number

  constructor(kind: keyof typeof EXIT_CODES, message: string) {
    super(message)
    this.exitCode = EXIT_CODES[kind]
  }
}

/** Which half of the upload was under way: they need different roles. */
export type Step = 'website' | 'files'

/** Where it happened. */
export interface Place {
  readonly name: string
  readonly endpoint: string
  readonly signIn: 'identity' | 'connection string'
  readonly step: Step
}

// By name, since loading the classes would load the whole of @azure/identity, which a connection string does without.
const SIGN_IN_ERRORS = [
  'AggregateAuthenticationError', 'AuthenticationError', 'AuthenticationRequiredError', 'CredentialUnavailableError',
]
const NETWORK_ERRORS = ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'REQUEST_SEND_ERROR']

/** Turns what the storage client or the sign-in threw into a `Failure`. */
export function explain(error: unknown, place: Place): Failure {
  if (error instanceof Failure) return error
  if (error instanceof Error && SIGN_IN_ERRORS.includes(error.name)) return notSignedIn()
  if (!(error instanceof RestError)) throw error
  const code = error.code ?? 'unknown'
  if (error.statusCode === 401) return otherTenant()
  if (error.statusCode === 403) return forbidden(code, place)
  if (NETWORK_ERRORS.includes(code)) return unreachable(place)
  if (error.statusCode === 404) return new Failure('no account', `${place.endpoint} knows no account named ${place.name}.`)
  const request = error.response?.headers.get('x-ms-request-id') ?? 'none'
  return new Failure('unexpected', `The storage account answered ${error.statusCode ?? 'nothing'} (${code}, request ${request}). Try again; the site is whole.`)
}

function notSignedIn(): Failure {
  return new Failure('not signed in', 'Nobody is signed in to Azure here. Sign in with `az login` or `azd auth login`, then upload again.')
}

function otherTenant(): Failure {
  return new Failure('not signed in', 'The account belongs to another tenant than the one signed in to. Run: az login --tenant TENANT')
}

function unreachable({ name, endpoint }: Place): Failure {
  return new Failure('no account', `${endpoint} cannot be reached. Is there a storage account named ${name}, and a way to it from here?`)
}

function forbidden(code: string, { name, signIn, step }: Place): Failure {
  const may = (sentence: string) => new Failure('no permission', sentence)
  if (code === 'KeyBasedAuthenticationNotPermitted') {
    return may(`${name} takes no keys. Unset AZURE_STORAGE_CONNECTION_STRING and sign in with \`az login\`.`)
  }
  if (signIn === 'connection string') {
    return may(`${name} refuses the key or signature in AZURE_STORAGE_CONNECTION_STRING. Take the present one, or unset it and sign in with \`az login\`.`)
  }
  if (code === 'AuthorizationFailure') return may(`The firewall of ${name} does not let this machine in (Networking, Public network access).`)
  return may(step === 'website' ? mayNotConfigure(name) : mayNotWrite(name))
}

function mayNotWrite(name: string): string {
  return [
    `You are signed in, but may not write to ${name}; to be its owner is not enough. Assign the role, wait some minutes, upload again:`,
    ...assign(name, 'Storage Blob Data Contributor'),
  ].join('\n')
}

function mayNotConfigure(name: string): string {
  return [
    `You are signed in, but may not switch on the static website of ${name}. Have somebody who may do it, then add --no-website:`,
    `  az storage blob service-properties update --account-name ${name} --auth-mode login --static-website true --index-document index.html --404-document 404.html`,
    'or assign the role, wait some minutes, upload again:',
    ...assign(name, 'Storage Account Contributor'),
  ].join('\n')
}

function assign(name: string, role: string): string[] {
  return [
    `  az role assignment create --role "${role}" --assignee "$(az ad signed-in-user show --query id --output tsv)" \\`,
    `    --scope "$(az storage account show --name ${name} --query id --output tsv)"`,
  ]
}
