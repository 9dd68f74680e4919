//! [`Frame`]: hub messages as one WebSocket frame, encoded once for all recipients.

use std::sync::Arc;

/// The final frame of a message (RFC 6455, section 5.2).
const FIN: u8 = 0x80;

/// Up to this length of the payload the second byte of a frame is the length.
const MAX_SHORT_BYTES: u8 = 125;

/// The second byte of a frame whose length follows in 2 or in 8 bytes.
const LENGTH_IN_2_BYTES: u8 = 126;
const LENGTH_IN_8_BYTES: u8 = 127;

/// What a WebSocket frame carries (RFC 6455, section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Pong = 0xa,
}

/// A whole WebSocket message in one frame, without a mask. Clones share the bytes.
///
/// A text or binary frame holds one or more whole hub messages, each with its separator or length prefix: clients report an error for a
/// frame that ends inside a message. Transports other than WebSockets send the payload alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame(Arc<[u8]>);

impl Frame {
    /// A frame of hub messages in JSON.
    pub(crate) fn text(payload: &str) -> Self {
        Self::new(Opcode::Text, payload.as_bytes())
    }

    /// A frame of hub messages in MessagePack.
    pub(crate) fn binary(payload: &[u8]) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    /// A frame with this payload. That of a control frame has at most 125 bytes.
    pub(crate) fn new(opcode: Opcode, payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(2 + size_of::<u64>() + payload.len());
        bytes.push(FIN | opcode as u8);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ ..=MAX_SHORT_BYTES), _) => bytes.push(length),
            (_, Ok(length)) => {
                bytes.push(LENGTH_IN_2_BYTES);
                bytes.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                bytes.push(LENGTH_IN_8_BYTES);
                bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        Self(bytes.into())
    }

    /// The length of the payload in bytes.
    pub(crate) fn len(&self) -> usize {
        self.payload().len()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        let header = match self.0[1] {
            LENGTH_IN_2_BYTES => 2 + size_of::<u16>(),
            LENGTH_IN_8_BYTES => 2 + size_of::<u64>(),
            _ => 2,
        };
        &self.0[header..]
    }

    /// The payload, if it is a text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        let is_text = self.0[0] == FIN | Opcode::Text as u8;
        is_text.then(|| str::from_utf8(self.payload()).ok()).flatten()
    }

    /// The whole frame, as it is sent over a WebSocket.
    pub(crate) fn websocket_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_shortest_length_there_is() {
        // The boundaries of RFC 6455, section 5.2.
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0x81, 0]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (70_000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
        ];
        for (length, header) in cases {
            let payload = "x".repeat(length);
            let frame = Frame::text(&payload);
            assert_eq!(frame.websocket_bytes(), [header, payload.as_bytes()].concat());
            assert_eq!((frame.len(), frame.as_text()), (length, Some(payload.as_str())));
        }
    }

    #[test]
    fn other_frames_differ_in_their_first_byte() {
        for (opcode, first) in [(Opcode::Binary, 0x82), (Opcode::Close, 0x88), (Opcode::Pong, 0x8a)] {
            let frame = Frame::new(opcode, b"{}");
            assert_eq!(frame.websocket_bytes(), [first, 2, b'{', b'}']);
            assert_eq!((frame.payload(), frame.as_text()), (&b"{}"[..], None));
        }
    }
}
