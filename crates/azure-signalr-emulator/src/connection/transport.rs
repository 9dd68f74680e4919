//! What a transport does for a connection: receives bytes, sends frames, and closes.

use bytes::Bytes;

use crate::protocol::Frame;
use crate::protocol::handshake::TransferFormat;

/// What a transport has received.
#[derive(Debug)]
pub(crate) enum Received {
    /// Any piece of the stream of messages.
    Bytes(Bytes),
    /// The client has closed the transport.
    Closed,
    /// The transport has failed with this error.
    Failed(String),
}

/// The client no longer receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disconnected;

/// How the service closes a transport.
#[derive(Debug)]
pub(crate) struct CloseRequest {
    /// The Close message, if the client expects one.
    pub(crate) close_message: Option<Frame>,
    /// Whether the connection ends because of an error.
    pub(crate) is_error: bool,
}

/// An open transport of one client.
pub(crate) trait Transport: Send + 'static {
    const TRANSFER_FORMAT: TransferFormat;

    /// Whether both sides send pings of the hub protocol.
    const USES_PINGS: bool;

    /// Whether frames can be sent now. Becomes true only in [`receive`](Self::receive), which then returns.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits for data of the client. Must be cancel safe.
    fn receive(&mut self) -> impl Future<Output = Received> + Send;

    /// Sends frames in order, in as few writes as possible, and waits until the transport has taken them. Cancelled, it may have
    /// sent some.
    fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> impl Future<Output = Result<(), Disconnected>> + Send;

    /// Sends the Close message and closes. The caller limits the time.
    fn close(self, request: CloseRequest) -> impl Future<Output = ()> + Send;
}
