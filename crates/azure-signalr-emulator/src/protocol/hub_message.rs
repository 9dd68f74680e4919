//! Hub messages: what clients and the service send, and why bytes are not a message.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

/// A hub protocol. A client chooses one in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Json,
    MessagePack,
}

impl Protocol {
    /// The name in handshakes and in bodies of REST calls.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// The supported protocol with this name. Letter case does not matter, as in ASP.NET Core.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Json, Self::MessagePack].into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// A message from a client. Headers are not kept: some clients put their access token there.
#[derive(Debug, PartialEq)]
pub(crate) enum ClientMessage {
    /// A call of a hub method. With an id the client waits for a completion.
    Invocation {
        id: Option<String>,
        target: String,
        /// The bytes an upstream gets: a JSON object without separator, or a MessagePack array without length prefix; the
        /// headers are removed, everything else is unchanged.
        forwarded: Bytes,
    },
    /// A call with streamed results. The client always waits for a completion.
    StreamInvocation {
        id: String,
        target: String,
    },
    /// One item of a stream from the client.
    StreamItem {
        id: String,
    },
    /// The client cancels a stream.
    CancelInvocation {
        id: String,
    },
    /// The result of an invocation that had an id, or the end of a stream from the client.
    Completion {
        id: String,
        outcome: Outcome,
    },
    Ping,
    Close {
        error: Option<String>,
    },
    /// All messages up to this sequence id have arrived.
    Ack(u64),
    /// The sequence id of the next message, after a reconnect.
    Sequence(u64),
    /// An unknown message type, which is ignored.
    Other(u64),
}

impl ClientMessage {
    /// Whether the message has a sequence id on connections with stateful reconnect.
    pub(crate) fn is_sequenced(&self) -> bool {
        match self {
            Self::Invocation { .. }
            | Self::StreamInvocation { .. }
            | Self::StreamItem { .. }
            | Self::CancelInvocation { .. }
            | Self::Completion { .. } => true,
            Self::Ping | Self::Close { .. } | Self::Ack(_) | Self::Sequence(_) | Self::Other(_) => false,
        }
    }
}

/// How an invocation ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Void,
    /// JSON, in either protocol.
    Result(Box<RawValue>),
    Error(String),
}

impl PartialEq for Outcome {
    /// Compares results by their text.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Void, Self::Void) => true,
            (Self::Result(one), Self::Result(other)) => one.get() == other.get(),
            (Self::Error(one), Self::Error(other)) => one == other,
            _ => false,
        }
    }
}

/// A message from the service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerMessage<'a> {
    /// Calls `target` at the client; `arguments` is a JSON array. With an id the client answers with a completion.
    Invocation {
        id: Option<&'a str>,
        target: &'a str,
        arguments: &'a RawValue,
    },
    /// One item of a stream to the client.
    StreamItem {
        id: &'a str,
        item: &'a RawValue,
    },
    /// The result of a call of the client, or the end of a stream to it.
    Completion {
        id: &'a str,
        outcome: &'a Outcome,
    },
    Ping,
    /// The last message of a connection.
    Close {
        error: Option<&'a str>,
        allow_reconnect: bool,
    },
    /// All messages up to this sequence id have arrived.
    Ack(u64),
    /// The sequence id of the next message, after a reconnect.
    Sequence(u64),
}

/// A message is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is longer than {limit} bytes")]
pub(crate) struct MessageTooLong {
    /// In bytes.
    pub(crate) limit: usize,
}

/// Bytes are not a message of this hub protocol.
///
/// The text names the position and what is expected, never the content: messages of clients must not be logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MalformedMessage {
    pub(super) protocol: Protocol,
    pub(super) error: DecodeError,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
    #[error("a length prefix is 1 to 5 bytes and at most 2147483647")]
    LengthPrefix,
    /// The byte of a JSON message is counted from 0.
    #[error("byte {byte} is not UTF-8")]
    NotUtf8 { byte: usize },
    #[error("line {line}, column {column}: a JSON object is needed, with no property twice")]
    NotJson { line: usize, column: usize },
    /// A value announces more bytes or elements than the message has.
    #[error("a value is longer than its frame")]
    Truncated,
    #[error("no MessagePack value begins with the byte 0xC1")]
    Reserved,
    #[error("it must be a MessagePack array")]
    NotAnArray,
    #[error("the frame goes on after its array")]
    Trailing,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{property}` must be {expected}")]
    Wrong { property: &'static str, expected: &'static str },
}

impl MalformedMessage {
    /// The limit, if the message exceeds it.
    pub(crate) fn too_long(&self) -> Option<MessageTooLong> {
        match self.error {
            DecodeError::TooLong(too_long) => Some(too_long),
            _ => None,
        }
    }
}

impl std::error::Error for MalformedMessage {}

impl fmt::Display for MalformedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let DecodeError::TooLong(too_long) = &self.error {
            return too_long.fmt(f);
        }
        write!(f, "not a message of the {} hub protocol: {}", self.protocol.name(), self.error)
    }
}
