// Opens the storage account, with a connection string or with the user's sign-in. The connection string must belong to the
// account in the arguments, because an environment variable from other work must not choose the target.
import { BlobServiceClient } from '@azure/storage-blob'
import { UploadError } from './uploadError'

export interface Account {
  readonly name: string
  /** URL of the blob service, without secrets. */
  readonly endpoint: string
  readonly signIn: 'identity' | 'connection string'
  readonly service: BlobServiceClient
}

/** The arguments about the account. */
export interface AccountOptions {
  readonly account: string
  readonly endpoint?: string | undefined
}

// The client's default would retry the unresolvable name of a misspelt account for half a minute.
const RETRIES = { maxTries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 4_000 }

/** Creates the client; nothing is sent yet. Throws an `UploadError` if the connection string is invalid or of another account. */
export async function openAccount({ account, endpoint }: AccountOptions, connectionString: string | undefined): Promise<Account> {
  if (connectionString === undefined || connectionString === '') {
    const { DefaultAzureCredential } = await import('@azure/identity')
    const url = endpoint ?? `https://${account}.blob.core.windows.net`
    const service = new BlobServiceClient(url, new DefaultAzureCredential(), { retryOptions: RETRIES })
    return { name: account, endpoint: url, signIn: 'identity', service }
  }
  if (endpoint !== undefined) {
    throw new UploadError('arguments', 'AZURE_STORAGE_CONNECTION_STRING says where the account is: leave out --endpoint, or unset it.')
  }
  const service = fromConnectionString(connectionString)
  if (service.accountName !== account) {
    throw new UploadError('arguments', `AZURE_STORAGE_CONNECTION_STRING is for the account ${service.accountName}, not for ${account}. Unset it to sign in instead.`)
  }
  return { name: account, endpoint: new URL(service.url).origin, signIn: 'connection string', service }
}

function fromConnectionString(connectionString: string): BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(connectionString, { retryOptions: RETRIES })
  } catch {
    // The client's message may contain a part of the connection string.
    throw new UploadError('arguments', 'AZURE_STORAGE_CONNECTION_STRING is not the connection string of a storage account.')
  }
}
