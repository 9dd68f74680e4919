//! [`CloseReason`]: why a connection ends, and what client and upstream are told.

use crate::protocol::handshake::HandshakeError;
use crate::protocol::{MessageTooLong, ServerMessage};
use crate::service::{CloseOptions, StopReason};

/// Close codes of WebSockets (RFC 6455, section 7.4.1).
pub(crate) mod close_code {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const PROTOCOL_ERROR: u16 = 1002;
    pub(crate) const INVALID_PAYLOAD: u16 = 1007;
    pub(crate) const TOO_LARGE: u16 = 1009;
    pub(crate) const INTERNAL_ERROR: u16 = 1011;
}

use close_code::{GOING_AWAY, INTERNAL_ERROR, NORMAL, TOO_LARGE};

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseReason {
    /// The transport broke, or the control API dropped it.
    #[error("the transport ended")]
    Disconnected,
    #[error("the transport failed: {0}")]
    TransportFailed(String),
    /// The client has closed its transport, with the code of its WebSocket frame if there is one.
    #[error("the client closed the transport{}", .0.map(|code| format!(" with the code {code}")).unwrap_or_default())]
    TransportClosed(Option<u16>),
    /// The client has violated the protocol of its transport; the code tells how.
    #[error("the client violated the WebSocket protocol: {error}")]
    TransportViolated { error: String, code: u16 },
    /// With a Close message and its optional error.
    #[error("the client closed it")]
    ClientClosed(Option<String>),
    #[error("the handshake failed: {}", .0.reason())]
    HandshakeFailed(HandshakeError),
    /// The client has sent pings, and then nothing for the client timeout.
    #[error("the client timed out")]
    ClientTimedOut,
    /// The client has sent an invalid message.
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    TooLong(MessageTooLong),
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

    /// Whether a client with stateful reconnect may resume: only after a transport that broke.
    pub(super) fn is_resumable(&self) -> bool {
        matches!(self, Self::Disconnected | Self::TransportFailed(_))
    }

    /// Whether the transport is dropped instead of closed.
    pub(super) fn drops_transport(&self) -> bool {
        matches!(
            self,
            Self::Disconnected | Self::TransportFailed(_) | Self::ClientSlow | Self::Aborted | Self::ClientDeleted
        )
    }

    /// The code of the WebSocket close frame. A close frame of the client is answered with its own code, if that may be sent.
    pub(super) fn close_code(&self) -> u16 {
        match self {
            Self::Malformed(_) => INTERNAL_ERROR,
            Self::TooLong(_) => TOO_LARGE,
            Self::TransportViolated { code, .. } | Self::TransportClosed(Some(code)) => *code,
            _ => NORMAL,
        }
    }

    /// The Close message. The reason of a caller is included only with `detailed_errors`, errors of the client always.
    pub(super) fn close_message(&self, detailed_errors: bool) -> Option<CloseMessage> {
        let (error, allow_reconnect) = match self {
            Self::Malformed(_) | Self::TooLong(_) => (Some(self.to_string()), false),
            Self::ClientTimedOut => (None, true),
            Self::TokenExpired => (Some("The access token has expired.".to_owned()), true),
            Self::Closed { options, after_handshake: true } => {
                (options.reason.clone().filter(|_| detailed_errors), options.allow_reconnect)
            }
            _ => return None,
        };
        Some(CloseMessage { error, allow_reconnect })
    }

    /// The error that an upstream receives with the `disconnected` event; `None` after a normal close.
    pub(super) fn upstream_error(&self) -> Option<String> {
        match self {
            Self::ClientClosed(error) => error.clone(),
            Self::ClientDeleted | Self::TransportClosed(None | Some(NORMAL | GOING_AWAY)) => None,
            Self::Closed { options, .. } => options.reason.clone(),
            reason => Some(reason.to_string()),
        }
    }
}

/// The Close message of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CloseMessage {
    error: Option<String>,
    allow_reconnect: bool,
}

impl CloseMessage {
    pub(super) fn as_message(&self) -> ServerMessage<'_> {
        ServerMessage::Close { error: self.error.as_deref(), allow_reconnect: self.allow_reconnect }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_breaks_time_outs_and_violations_are_errors_for_an_upstream() {
        let closed = |reason: Option<&str>| CloseReason::Closed {
            options: CloseOptions { reason: reason.map(Into::into), allow_reconnect: false },
            after_handshake: true,
        };
        let violated = CloseReason::TransportViolated { error: "no mask".into(), code: close_code::PROTOCOL_ERROR };
        let cases = [
            (CloseReason::TransportClosed(None), None),
            (CloseReason::TransportClosed(Some(1000)), None),
            (CloseReason::TransportClosed(Some(1001)), None),
            (CloseReason::TransportClosed(Some(1011)), Some("the client closed the transport with the code 1011")),
            (CloseReason::TransportClosed(Some(4000)), Some("the client closed the transport with the code 4000")),
            (CloseReason::ClientDeleted, None),
            (CloseReason::ClientClosed(None), None),
            (CloseReason::ClientClosed(Some("bug".into())), Some("bug")),
            (closed(None), None),
            (closed(Some("bye")), Some("bye")),
            (CloseReason::Disconnected, Some("the transport ended")),
            (CloseReason::TransportFailed("reset".into()), Some("the transport failed: reset")),
            (violated, Some("the client violated the WebSocket protocol: no mask")),
            (CloseReason::ClientTimedOut, Some("the client timed out")),
            (CloseReason::ClientSlow, Some("the client reads too slowly")),
            (CloseReason::TooLong(MessageTooLong { limit: 9 }), Some("a message is longer than 9 bytes")),
            (CloseReason::Malformed("no JSON".into()), Some("no JSON")),
        ];
        for (reason, error) in cases {
            assert_eq!(reason.upstream_error().as_deref(), error, "{reason:?}");
        }
    }

    #[test]
    fn the_close_code_tells_what_was_wrong() {
        let violated = CloseReason::TransportViolated { error: "no UTF-8".into(), code: close_code::INVALID_PAYLOAD };
        let cases = [
            (CloseReason::TransportClosed(None), 1000),
            (CloseReason::TransportClosed(Some(1001)), 1001),
            (violated, 1007),
            (CloseReason::TooLong(MessageTooLong { limit: 9 }), 1009),
            (CloseReason::Malformed("no JSON".into()), 1011),
            (CloseReason::TokenExpired, 1000),
        ];
        for (reason, code) in cases {
            assert_eq!(reason.close_code(), code, "{reason:?}");
        }
    }
}
