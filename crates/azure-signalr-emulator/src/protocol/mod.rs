//! The hub protocols: bytes ⇄ messages, as pure functions. Nothing here knows of sockets, hubs or time.
//!
//! What one client says in its protocol, another may have to read in the other, so arguments and results are JSON
//! wherever they are kept; MessagePack is made of it, or turned into it, at the edge.

mod frame;
pub(crate) mod handshake;
mod incoming;
mod json;
mod malformed;
mod message;
mod messagepack;
pub(crate) mod prepared;
#[cfg(test)]
mod testing;

use bytes::Bytes;
use serde_json::value::RawValue;

pub(crate) use frame::Frame;
pub(crate) use incoming::Incoming;
pub(crate) use malformed::{Malformed, TooLong};
pub(crate) use message::Message;

/// How messages are written. A client chooses in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Json,
    MessagePack,
}

impl Protocol {
    /// The name it goes by in handshakes and in bodies of REST calls.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// The protocol of this name, if it is spoken here.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Json, Self::MessagePack].into_iter().find(|protocol| protocol.name() == name)
    }

    /// One message as it goes over the wire.
    pub(crate) fn encode(self, message: &ServerMessage<'_>) -> Frame {
        match self {
            Self::Json => Frame::Text(json::encode(message)),
            Self::MessagePack => Frame::Binary(messagepack::encode(message)),
        }
    }

    /// Reads one whole message, given without what marks its end or its length.
    pub(crate) fn read(self, message: &Bytes) -> Result<ClientMessage, Malformed> {
        let read = match self {
            Self::Json => json::read(message),
            Self::MessagePack => messagepack::read(message),
        };
        read.map_err(|fault| Malformed { protocol: self, fault })
    }
}

/// What a client said. Its headers are never kept: some clients put their access token there.
#[derive(Debug, PartialEq)]
pub(crate) enum ClientMessage {
    /// A call of a hub method. With an id the client waits for a completion.
    Invocation {
        id: Option<String>,
        target: String,
        /// The message as an upstream gets it: a JSON object without separator, or a MessagePack array without length
        /// prefix; in both without the headers, and else as it came.
        forwarded: Bytes,
    },
    /// A call whose results are to be streamed; it waits for a completion in any case.
    StreamInvocation {
        id: String,
        target: String,
    },
    /// One item of a stream the client sends.
    StreamItem {
        id: String,
    },
    /// The client wants no more items of a stream.
    CancelInvocation {
        id: String,
    },
    /// The answer to an invocation that had an id, or the end of a stream the client sends.
    Completion {
        id: String,
        outcome: Outcome,
    },
    Ping,
    Close {
        error: Option<String>,
    },
    /// All messages up to the one of this number have arrived.
    Ack(u64),
    /// The number of the next message, after a reconnect.
    Sequence(u64),
    /// A type nobody knows, to be ignored.
    Other(u64),
}

impl ClientMessage {
    /// Whether the message has a number where the connection counts messages to be able to send them again.
    pub(crate) fn is_numbered(&self) -> bool {
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
    /// JSON, whatever protocol it came in.
    Result(Box<RawValue>),
    Error(String),
}

impl PartialEq for Outcome {
    /// Results are the same if they are written the same.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Void, Self::Void) => true,
            (Self::Result(one), Self::Result(other)) => one.get() == other.get(),
            (Self::Error(one), Self::Error(other)) => one == other,
            _ => false,
        }
    }
}

/// What the service says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerMessage<'a> {
    /// Calls `target` at the client; `arguments` is a JSON array. With an id the client answers with a completion.
    Invocation {
        id: Option<&'a str>,
        target: &'a str,
        arguments: &'a RawValue,
    },
    /// One item of a stream the client reads.
    StreamItem {
        id: &'a str,
        item: &'a RawValue,
    },
    /// Answers a call of the client, or ends a stream it reads.
    Completion {
        id: &'a str,
        outcome: &'a Outcome,
    },
    Ping,
    /// Announces the end of the connection.
    Close {
        error: Option<&'a str>,
        allow_reconnect: bool,
    },
    /// All messages up to the one of this number have arrived.
    Ack(u64),
    /// The number of the next message, after a reconnect.
    Sequence(u64),
}
