//! The trait [`Transport`]: how messages of one client arrive and leave.

use std::sync::Arc;

use bytes::Bytes;
use http_server::UpgradedStream;

use crate::protocol::Frame;
use crate::protocol::handshake::TransferFormat;
use crate::service::Batch;

/// What a transport has received.
#[derive(Debug)]
pub(crate) enum Received {
    /// Any piece of the stream of messages.
    Bytes(Bytes),
    /// A ping of the transport, which this frame answers.
    Ping { pong: Frame },
    /// The client has closed the transport, with a code if it is a WebSocket.
    Closed(Option<u16>),
    /// The transport has ended without being closed, with the error if there is one.
    Broken(Option<String>),
    /// The client has violated the protocol of the transport; the code for a close frame tells how.
    Violation { error: String, code: u16 },
    /// The client has sent a message over the limit.
    TooLong,
}

/// Why frames could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The client no longer receives.
    Disconnected,
    /// The client has received next to nothing for the client timeout.
    TooSlow,
}

/// How the service closes a transport.
#[derive(Debug)]
pub(crate) struct CloseRequest {
    /// What must be sent before: what the transport begins with, or the rest of a frame that was sent in part.
    pub(crate) begun: Batch,
    /// The Close message, if the client expects one.
    pub(crate) close_message: Option<Frame>,
    /// The code of the close frame of a WebSocket.
    pub(crate) code: u16,
}

/// An open transport of one client.
pub(crate) trait Transport: Send + 'static {
    const TRANSFER_FORMAT: TransferFormat;

    /// Whether both sides send pings of the hub protocol.
    const USES_PINGS: bool;

    /// The socket, if frames are sent as WebSocket frames. A writer then sends most of them, and [`send`](Self::send) only what the
    /// socket does not take at once.
    fn socket(&self) -> Option<Arc<UpgradedStream>> {
        None
    }

    /// Whether frames can be sent now. Becomes true only in [`receive`](Self::receive), which then returns.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits for data of the client. Must be cancel safe.
    fn receive(&mut self) -> impl Future<Output = Received> + Send;

    /// Sends frames in order, in as few writes as possible, and waits until the transport has taken them, as long as the client makes
    /// progress. Cancelled, it may have sent some.
    fn send(&mut self, batch: Batch) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Sends the Close message and closes. The caller limits the time.
    fn close(self, request: CloseRequest) -> impl Future<Output = ()> + Send;
}
