// What the frames of a WebSocket say. Handshakes are no messages, and JSON even where the messages are MessagePack.

import { NullLogger, TransferFormat } from '@microsoft/signalr'
import { Opcode } from './tcp-proxy.mjs'

const RECORD_SEPARATOR = '\u001e'
const HANDSHAKE = /^\{(\}|"error"|"protocol")/

/** The messages of one side, 'client' or 'service'; fails on anything that is none. */
export function messages(frames, from, protocol) {
  const isBinary = protocol.transferFormat === TransferFormat.Binary
  const own = spoken(frames).filter(frame => frame.from === from && !HANDSHAKE.test(text(frame)))
  return own.flatMap(frame => protocol.parseMessages(isBinary ? frame.payload.buffer : text(frame), NullLogger.instance))
}

/** What clients proposed in their handshakes. */
export function handshakes(frames) {
  const proposals = spoken(frames).filter(frame => frame.from === 'client' && HANDSHAKE.test(text(frame)))
  return proposals.map(frame => JSON.parse(text(frame).split(RECORD_SEPARATOR, 1)[0]))
}

function spoken(frames) {
  return frames.filter(({ opcode }) => opcode === Opcode.TEXT || opcode === Opcode.BINARY)
}

function text({ payload }) {
  return Buffer.from(payload).toString()
}
