// Connects with the unmodified @microsoft/signalr. Input is a line of JSON with the settings, then commands; output is a line of JSON for
// each event. Its sockets are those of `ws`; they also record the first sent message and can discard what they receive.
const { createRequire } = require('node:module')
const { createInterface } = require('node:readline')
const path = require('node:path')

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const load = (from, name) => {
  try {
    return from(name)
  } catch {
    print({ missing: `${name} in --node-modules` })
    process.exit()
  }
}
const modules = createRequire(path.join(process.argv[1], 'index.js'))
const signalr = load(modules, '@microsoft/signalr')
const WebSocket = load(createRequire(modules.resolve('@microsoft/signalr')), 'ws')

const sockets = []
class Socket extends WebSocket {
  constructor(...args) {
    super(...args)
    this.first = undefined
    this.discard = false
    sockets.push(this)
  }
  send(data, ...more) {
    this.first ??= String(data)
    return super.send(data, ...more)
  }
  set onmessage(receive) {
    super.onmessage = (event) => {
      if (!this.discard) return receive(event)
      const messages = String(event.data).split('\u001e').filter((message) => message.startsWith('{"type":1,'))
      for (const message of messages) print({ discarded: JSON.parse(message).arguments })
    }
  }
  get onmessage() {
    return super.onmessage
  }
}

const TRANSPORTS = {
  WebSockets: signalr.HttpTransportType.WebSockets,
  ServerSentEvents: signalr.HttpTransportType.ServerSentEvents,
  LongPolling: signalr.HttpTransportType.LongPolling,
}

let connection
const open = async (settings) => {
  const builder = new signalr.HubConnectionBuilder()
    .withUrl(settings.url, { transport: TRANSPORTS[settings.transport], WebSocket: Socket })
    .configureLogging(signalr.LogLevel.None)
    .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 200 })
  if (settings.protocol === 'messagepack') {
    builder.withHubProtocol(new (load(modules, '@microsoft/signalr-protocol-msgpack').MessagePackHubProtocol)())
  }
  if (settings.stateful) builder.withStatefulReconnect()
  connection = builder.build()
  connection.on('receive', (...args) => print({ received: args }))
  connection.onreconnected((id) => print({ reconnected: id }))
  connection.onclose((error) => print({ closed: String(error) }))
  await connection.start()
  print({ open: connection.connectionId, handshake: sockets.at(-1)?.first })
}

const COMMANDS = {
  discard: () => {
    sockets.at(-1).discard = true
    print({ discarding: true })
  },
  terminate: () => sockets.at(-1).terminate(),
  inspect: () => print({ state: { id: connection.connectionId, sockets: sockets.length, first: sockets.at(-1)?.first } }),
  stop: () => connection.stop(),
}

const handle = (line) => {
  const input = JSON.parse(line)
  const done = input.command ? Promise.resolve(COMMANDS[input.command]()) : open(input)
  done.catch((error) => print({ failed: String(error) }))
}
createInterface({ input: process.stdin }).on('line', handle).on('close', () => process.exit())
