// The local stack as a page meets it on a bad day: the SignalR service is a process that can be killed, and the page reaches API and
// service only through proxies that can fail.

import { apiProxy } from './api-proxy.mjs'
import { freePort, startEmulator, startLocalStack } from './processes.mjs'
import { tcpProxy } from './tcp-proxy.mjs'

/**
 * Starts a stack without a limit of messages. `apiProxy` is in front of the API; `apiTarget(chat, connection)` replaces what is behind
 * it. `options` are those of the service.
 */
export async function startFaultyStack(t, { variables = {}, args = [], options = [], apiTarget = chat => chat.api } = {}) {
  const service = await restartableService(t, options)
  const serviceNetwork = await tcpProxy(t, service.port)
  const connection = `${service.connection};ClientEndpoint=${serviceNetwork.url}`
  const chat = await startLocalStack(t, { ChatMessageRate: '0', AzureSignalRConnectionString: connection, ...variables }, args)
  const proxy = await apiProxy(t, await apiTarget(chat, connection))
  const apiNetwork = await tcpProxy(t, new URL(proxy.url).port)
  const networks = [apiNetwork, serviceNetwork]
  return {
    ...chat,
    service,
    apiProxy: proxy,
    apiNetwork,
    serviceNetwork,
    /** The address of the API for pages. */
    pageApi: apiNetwork.url,
    /** The address of the API behind the proxies. */
    apiUrl: chat.api,
    /** The network between the pages and everything else, except for the page's own files. */
    network: {
      cut: () => networks.forEach(network => network.disconnect()),
      blackHole: () => networks.forEach(network => network.blackHole()),
      restore: () => networks.forEach(network => network.reconnect()),
    },
  }
}

/** The SignalR emulator as a process that can be killed and started again, at the same address. */
export async function restartableService(t, options = []) {
  const port = `${await freePort()}`
  let connection
  const start = () => startEmulator(t, ['--port', port, ...options], connection && { AzureSignalRConnectionString: connection })
  let process = await start()
  connection = process.printed('connection').replace(/;$/, '')
  return {
    port,
    connection,
    kill: () => process.stop('SIGKILL'),
    async start() { process = await start() },
  }
}
