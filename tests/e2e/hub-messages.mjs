// Decodes recorded WebSocket frames to hub messages and handshakes.

import { NullLogger, TransferFormat } from '@microsoft/signalr'
import { Opcode } from './tcp-proxy.mjs'

const RECORD_SEPARATOR = '\u001e'
// Handshakes are JSON with every protocol.
const HANDSHAKE = /^\{(\}|"error"|"protocol")/

/** The hub messages of one side, 'client' or 'service'. Throws if a frame is invalid. */
export function messages(frames, from, protocol) {
  const isBinary = protocol.transferFormat === TransferFormat.Binary
  const sent = dataFrames(frames).filter(frame => frame.from === from && !HANDSHAKE.test(text(frame)))
  return sent.flatMap(frame => protocol.parseMessages(isBinary ? frame.payload.buffer : text(frame), NullLogger.instance))
}

/** The handshake requests of the client. */
export function handshakes(frames) {
  const requests = dataFrames(frames).filter(frame => frame.from === 'client' && HANDSHAKE.test(text(frame)))
  return requests.map(frame => JSON.parse(text(frame).split(RECORD_SEPARATOR, 1)[0]))
}

function dataFrames(frames) {
  return frames.filter(({ opcode }) => opcode === Opcode.TEXT || opcode === Opcode.BINARY)
}

function text({ payload }) {
  return Buffer.from(payload).toString()
}
