// The storage account and who we are to it. A connection string wins over the sign-in, and must be one of the account that was
// named: a variable left over from other work must not choose where a site is published.
import { BlobServiceClient } from '@azure/storage-blob'
import { Failure } from './uploadError'

export interface Account {
  readonly name: string
  /** Address of the blob service, without anything secret. */
  readonly endpoint: string
  readonly signIn: 'identity' | 'connection string'
  readonly service: BlobServiceClient
}

/** What the arguments say about the account. */
export interface Named {
  readonly account: string
  readonly endpoint?: string | undefined
}

// A misspelt account is a name that does not resolve, which the client would try again for half a minute.
const RETRIES = { maxTries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 4_000 }

/** Opens the account; nothing is sent yet. Throws a `Failure` if the connection string does not fit. */
export async function openAccount({ account, endpoint }: Named, connectionString: string | undefined): Promise<Account> {
  if (connectionString === undefined || connectionString === '') {
    const { DefaultAzureCredential } = await import('@azure/identity')
    const url = endpoint ?? `https://${account}.blob.core.windows.net`
    const service = new BlobServiceClient(url, new DefaultAzureCredential(), { retryOptions: RETRIES })
    return { name: account, endpoint: url, signIn: 'identity', service }
  }
  if (endpoint !== undefined) {
    throw new Failure('arguments', 'AZURE_STORAGE_CONNECTION_STRING says where the account is: leave out --endpoint, or unset it.')
  }
  const service = fromConnectionString(connectionString)
  if (service.accountName !== account) {
    throw new Failure('arguments', `AZURE_STORAGE_CONNECTION_STRING is for the account ${service.accountName}, not for ${account}. Unset it to sign in instead.`)
  }
  return { name: account, endpoint: new URL(service.url).origin, signIn: 'connection string', service }
}

function fromConnectionString(connectionString: string): BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(connectionString, { retryOptions: RETRIES })
  } catch {
    // What the client says about it may hold a part of it.
    throw new Failure('arguments', 'AZURE_STORAGE_CONNECTION_STRING is not the connection string of a storage account.')
  }
}
