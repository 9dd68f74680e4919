//! Hub messages as they go over the wire.
//!
//! A frame holds whole messages only: clients take a frame that ends inside a message for an error.

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;

/// One or more whole hub messages, each with its separator or length prefix. Clones share the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Frame {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_str().as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<Frame> for Bytes {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => text.into(),
            Frame::Binary(bytes) => bytes,
        }
    }
}
