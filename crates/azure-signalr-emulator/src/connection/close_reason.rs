//! Why a connection ends, and what follows for the client, the log, the upstream, and stateful reconnect.

use crate::protocol::ServerMessage;
use crate::protocol::handshake::HandshakeError;
use crate::service::{CloseOptions, StopReason};

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseReason {
    #[error("the transport ended")]
    Disconnected,
    #[error("the transport failed: {0}")]
    TransportFailed(String),
    /// With a Close message and its optional error.
    #[error("the client closed it")]
    ClientClosed(Option<String>),
    #[error("the handshake failed: {0}")]
    HandshakeFailed(HandshakeError),
    /// The client has sent pings, and then nothing for the client timeout.
    #[error("the client timed out")]
    ClientTimedOut,
    /// The client has sent an invalid message, or a message that is too long.
    #[error("{0}")]
    Malformed(String),
    #[error("the client reads too slowly")]
    ClientSlow,
    /// A claim ends the connection with its token.
    #[error("the access token expired")]
    TokenExpired,
    /// With a DELETE request.
    #[error("the client closed it")]
    ClientDeleted,
    #[error("the control API dropped it")]
    Aborted,
    /// A REST call has closed the connection, or the service shuts down.
    #[error("the service closed it")]
    Closed { options: CloseOptions, after_handshake: bool },
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
