//! Why a connection ends, and what follows for the client, the log, the upstream, and stateful reconnect.

use std::fmt;

use crate::protocol::ServerMessage;
use crate::protocol::handshake::HandshakeError;
use crate::service::{CloseOptions, StopReason};

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum CloseReason {
    /// The transport has ended.
    Disconnected,
    /// The transport has failed.
    TransportFailed(String),
    /// The client has sent a Close message, with an optional error.
    ClientClosed(Option<String>),
    HandshakeFailed(HandshakeError),
    /// The client has sent pings, and then nothing for the client timeout.
    ClientTimedOut,
    /// The client has sent an invalid message, or a message that is too long.
    Malformed(String),
    /// The client reads too slowly, or not at all.
    ClientSlow,
    /// The access token has expired, and a claim ends the connection with it.
    TokenExpired,
    /// The client has sent a DELETE request.
    ClientDeleted,
    /// The control API has dropped the connection.
    Aborted,
    /// A REST call has closed the connection, or the service shuts down.
    Closed {
        options: CloseOptions,
        after_handshake: bool,
    },
}

impl CloseReason {
    pub(super) fn from_stop(reason: StopReason, after_handshake: bool) -> Self {
        match reason {
            StopReason::Overflow => Self::ClientSlow,
            StopReason::TransportDropped => Self::Disconnected,
            StopReason::Aborted => Self::Aborted,
            StopReason::Deleted => Self::ClientDeleted,
            StopReason::Closed(options) => Self::Closed { options, after_handshake },
            StopReason::TokenExpired => Self::TokenExpired,
        }
    }

    /// Whether a client with stateful reconnect may resume.
    pub(super) fn is_resumable(&self) -> bool {
        matches!(self, Self::Disconnected | Self::TransportFailed(_))
    }

    /// Whether the transport is dropped instead of closed.
    pub(super) fn drops_transport(&self) -> bool {
        matches!(self, Self::Disconnected | Self::ClientSlow | Self::Aborted | Self::ClientDeleted)
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::TransportFailed(_) | Self::Malformed(_))
    }

    /// The Close message. The reason of a caller is included only with `detailed_errors`, errors of the client always.
    pub(super) fn close_message(&self, detailed_errors: bool) -> Option<ServerMessage<'_>> {
        let (error, allow_reconnect) = match self {
            Self::Malformed(error) => (Some(error.as_str()), false),
            Self::ClientTimedOut => (None, true),
            Self::TokenExpired => (Some("The access token has expired."), true),
            Self::Closed { options, after_handshake: true } => {
                (options.reason.as_deref().filter(|_| detailed_errors), options.allow_reconnect)
            }
            _ => return None,
        };
        Some(ServerMessage::Close { error, allow_reconnect })
    }

    /// The error that an upstream receives with the `disconnected` event.
    pub(super) fn upstream_error(&self) -> Option<String> {
        match self {
            Self::ClientClosed(error) => error.clone(),
            Self::ClientDeleted => None,
            Self::Closed { options, .. } => options.reason.clone(),
            reason => Some(reason.to_string()),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the transport ended"),
            Self::TransportFailed(error) => write!(f, "the transport failed: {error}"),
            Self::ClientClosed(_) | Self::ClientDeleted => f.write_str("the client closed it"),
            Self::HandshakeFailed(error) => write!(f, "the handshake failed: {error}"),
            Self::ClientTimedOut => f.write_str("the client timed out"),
            Self::Malformed(error) => f.write_str(error),
            Self::ClientSlow => f.write_str("the client reads too slowly"),
            Self::TokenExpired => f.write_str("the access token expired"),
            Self::Aborted => f.write_str("the control API dropped it"),
            Self::Closed { .. } => f.write_str("the service closed it"),
        }
    }
}
