//! Why a connection ends, and what that means: for the client, for the log, and for whether it may come back.

use std::fmt;

use super::outbox::{Closure, End};
use crate::protocol::ServerMessage;
use crate::protocol::handshake::HandshakeError;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The transport was gone first.
    Gone,
    /// The transport broke.
    Broken(String),
    /// The client said that it would go, perhaps why.
    ClientClosed(Option<String>),
    /// The client does not speak as we do.
    HandshakeFailed(HandshakeError),
    /// The client pinged once and then fell silent.
    ClientSilent,
    /// The client sent what is no message, or too much.
    Malformed(String),
    /// The client read too slowly, or not at all.
    ClientSlow,
    /// The access token has expired, and says that the connection ends then.
    TokenExpired,
    /// The client said, by another way than its messages, that it would go.
    Departed,
    /// The client is to be dropped without a word.
    Abandoned,
    /// Somebody closed the connection, or the service itself.
    Closed { closure: Closure, greeted: bool },
}

impl Ending {
    pub(super) fn of(end: End, greeted: bool) -> Self {
        match end {
            End::Overflow => Self::ClientSlow,
            End::Severed => Self::Gone,
            End::Abandoned => Self::Abandoned,
            End::Departed => Self::Departed,
            End::Closed(closure) => Self::Closed { closure, greeted },
            End::Expired => Self::TokenExpired,
        }
    }

    /// Whether a client that can resume may do so.
    pub(super) fn is_resumable(&self) -> bool {
        matches!(self, Self::Gone | Self::Broken(_))
    }

    /// Whether nobody is there to say farewell to.
    pub(super) fn is_mute(&self) -> bool {
        matches!(self, Self::Gone | Self::ClientSlow | Self::Abandoned | Self::Departed)
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Malformed(_))
    }

    /// The last message to the client. Reasons are shown to clients whose token lets them see `details`, but what they
    /// themselves did wrong is told to all.
    pub(super) fn last_words(&self, details: bool) -> Option<ServerMessage<'_>> {
        let (error, allow_reconnect) = match self {
            Self::Malformed(error) => (Some(error.as_str()), false),
            Self::ClientSilent => (None, true),
            Self::TokenExpired => (Some("The access token has expired."), true),
            Self::Closed { closure, greeted: true } => {
                (closure.reason.as_deref().filter(|_| details), closure.allow_reconnect)
            }
            _ => return None,
        };
        Some(ServerMessage::Close { error, allow_reconnect })
    }

    /// What an upstream is told, if this was not how connections should end.
    pub(super) fn error(&self) -> Option<String> {
        match self {
            Self::ClientClosed(error) => error.clone(),
            Self::Departed => None,
            Self::Closed { closure, .. } => closure.reason.clone(),
            ending => Some(ending.to_string()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the transport ended"),
            Self::Broken(error) => write!(f, "the transport broke: {error}"),
            Self::ClientClosed(_) | Self::Departed => f.write_str("the client closed it"),
            Self::HandshakeFailed(error) => write!(f, "the handshake failed: {error}"),
            Self::ClientSilent => f.write_str("the client fell silent"),
            Self::Malformed(error) => f.write_str(error),
            Self::ClientSlow => f.write_str("the client did not read what was sent to it"),
            Self::TokenExpired => f.write_str("the access token expired"),
            Self::Abandoned => f.write_str("it was dropped on demand"),
            Self::Closed { .. } => f.write_str("the service closed it"),
        }
    }
}
