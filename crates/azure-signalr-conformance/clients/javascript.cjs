// Connects with @microsoft/signalr, as it comes, and says what happens: a line of JSON each. Told on standard input: first its settings,
// then what to do. Its sockets are those of `ws`, but remember what was sent on them, and can lose what arrives.
const { createRequire } = require('node:module')
const { createInterface } = require('node:readline')
const path = require('node:path')

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const load = (from, name) => {
  try {
    return from(name)
  } catch {
    say({ missing: `${name} in --node-modules` })
    process.exit()
  }
}
const modules = createRequire(path.join(process.argv[1], 'index.js'))
const signalr = load(modules, '@microsoft/signalr')
const WebSocket = load(createRequire(modules.resolve('@microsoft/signalr')), 'ws')

const sockets = []
class Socket extends WebSocket {
  constructor(...given) {
    super(...given)
    this.first = undefined
    this.deaf = false
    sockets.push(this)
  }
  send(data, ...more) {
    this.first ??= String(data)
    return super.send(data, ...more)
  }
  set onmessage(receive) {
    super.onmessage = (event) => {
      if (!this.deaf) return receive(event)
      const lost = String(event.data).split('\u001e').filter((message) => message.startsWith('{"type":1,'))
      for (const message of lost) say({ lost: JSON.parse(message).arguments })
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
  connection.on('told', (...given) => say({ told: given }))
  connection.onreconnected((id) => say({ reconnected: id }))
  connection.onclose((error) => say({ closed: String(error) }))
  await connection.start()
  say({ open: connection.connectionId, handshake: sockets.at(-1)?.first })
}

const ORDERS = {
  deafen: () => {
    sockets.at(-1).deaf = true
    say({ deaf: true })
  },
  cut: () => sockets.at(-1).terminate(),
  look: () => say({ look: { id: connection.connectionId, sockets: sockets.length, first: sockets.at(-1)?.first } }),
  stop: () => connection.stop(),
}

const obey = (line) => {
  const told = JSON.parse(line)
  const done = told.order ? Promise.resolve(ORDERS[told.order]()) : open(told)
  done.catch((error) => say({ failed: String(error) }))
}
createInterface({ input: process.stdin }).on('line', obey).on('close', () => process.exit())
