// Two handlers that share a history in a blob container of Azurite.

import { functionsHost } from './functions-host.mjs'
import { managedIdentity } from './managed-identity.mjs'
import { startHandler } from './processes.mjs'

const CONTAINER = 'chat-history'

/** Starts two handlers and their host; `azurite` accepts access tokens. An `apiTarget` of `startFaultyStack`. */
export function handlersOnAzurite(t, azurite) {
  return async (chat, connection) => {
    const account = await azurite.account(t)
    await account.service.createContainer(CONTAINER)
    const { settings } = await managedIdentity(t)
    const variables = {
      AzureSignalRConnectionString: connection,
      WEBSITE_AUTH_ENABLED: 'True',
      ChatMessageRate: '0',
      ChatRooms: '*',
      ChatHistory: `${account.httpsUrl}/${CONTAINER}`,
      ChatHistory__rootCertificates: account.certificate,
      ...settings,
    }
    const handlers = await Promise.all([startHandler(t, variables), startHandler(t, variables)])
    return functionsHost(t, chat, handlers.map(({ url }) => url))
  }
}
