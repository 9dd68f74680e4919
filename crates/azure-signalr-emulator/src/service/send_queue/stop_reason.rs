//! [`StopReason`]: why a connection ends, as other tasks tell its queue.

/// How the service closes a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseOptions {
    /// Shown to clients whose token allows detailed errors.
    pub(crate) reason: Option<String>,
    pub(crate) allow_reconnect: bool,
}

/// Why a connection, or its transport, ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The queue was full; its frames are discarded.
    Overflow,
    /// The transport is dropped without a Close message. A client with stateful reconnect may resume; its queue accepts frames.
    TransportDropped,
    /// The connection ends without a Close message; queued frames are discarded.
    Aborted,
    /// The client has ended the connection with a DELETE request.
    Deleted,
    /// The service closes the connection after the queued frames are sent.
    Closed(CloseOptions),
    /// The access token has expired, or is treated as expired.
    TokenExpired,
}

impl StopReason {
    /// Whether the transport ends without sending what is queued.
    pub(super) fn is_immediate(&self) -> bool {
        !matches!(self, Self::Closed(_) | Self::TokenExpired)
    }
}
