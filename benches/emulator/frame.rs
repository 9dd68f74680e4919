//! WebSocket frames (RFC 6455, section 5.2), as far as the benchmark needs them.

use crate::common::Result;

/// Opcodes of frames with messages.
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// The bit of the last frame of a message, and that of a masked payload.
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A close frame of a client with the status code 1000.
pub(crate) const CLIENT_CLOSE: [u8; 8] = [FINAL | 8, MASKED | 2, 0, 0, 0, 0, 0x03, 0xe8];

/// The payload of a frame of the service, and the bytes after it.
pub(crate) struct Frame<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Parses the frame at the start of `bytes`; `None` while it is incomplete.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let (opcode, length, rest) = match *bytes {
            [first, 127, a, b, c, d, e, f, g, h, ref rest @ ..] => {
                (first, u64::from_be_bytes([a, b, c, d, e, f, g, h]), rest)
            }
            [first, 126, high, low, ref rest @ ..] => (first, u16::from_be_bytes([high, low]).into(), rest),
            [] | [_] | [_, 126 | 127, ..] => return Ok(None),
            [first, length @ 0..126, ref rest @ ..] => (first, length.into(), rest),
            _ => return Err("a frame is masked".into()),
        };
        if !matches!(opcode & 0x0f, TEXT | BINARY) {
            return Err("the target closed a connection".into());
        }
        Ok(rest.split_at_checked(usize::try_from(length)?).map(|(payload, rest)| Self { payload, rest }))
    }
}

/// A text frame of the service.
pub(crate) fn service_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | TEXT];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..=0xffff => frame.extend_from_slice(&[&[126][..], &(length as u16).to_be_bytes()].concat()),
        length => frame.extend_from_slice(&[&[127][..], &(length as u64).to_be_bytes()].concat()),
    }
    frame.extend_from_slice(payload);
    frame
}

/// A text frame of a client, of at most 125 bytes. The mask consists of zeros, which changes nothing.
pub(crate) fn client_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | TEXT, MASKED | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}
