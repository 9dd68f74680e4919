//! What a transport does for a conversation: bytes in, frames out, and the end.
//!
//! A wire keeps no promise about borders: one piece may hold several messages, or a part of one.

use bytes::Bytes;

use crate::protocol::Frame;
use crate::protocol::handshake::Transfer;

/// What came from the client.
#[derive(Debug)]
pub(crate) enum Received {
    Bytes(Bytes),
    /// The client ended the transport in the way the transport has for that.
    Ended,
    /// The transport broke, in these words; `None` when it was merely gone.
    Broken(Option<String>),
}

/// The client no longer takes what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// How the service leaves.
#[derive(Debug)]
pub(crate) struct Farewell {
    /// The Close message, unless the client does not expect one.
    pub(crate) last_words: Option<Frame>,
    /// Whether something went wrong.
    pub(crate) is_error: bool,
}

/// One open transport of one client, owned by its conversation.
pub(crate) trait Wire: Send + 'static {
    /// What it can carry.
    const TRANSFER: Transfer;

    /// Whether silence has to be broken by pings of the hub protocol, both ways.
    const PINGS: bool;

    /// Whether what is sent now goes out at once. Becomes true only by [`receive`](Self::receive), which then returns.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits for what the client sends. Nothing is lost when the wait is given up.
    fn receive(&mut self) -> impl Future<Output = Received> + Send;

    /// Sends frames in their order, in as few writes as possible, and waits until the transport has taken them. A wait
    /// that is given up may have sent some.
    fn send(
        &mut self,
        frames: impl IntoIterator<Item = Frame, IntoIter: Send> + Send,
    ) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Leaves, and lets the client take the last words. The caller bounds the time it may take.
    fn close(self, farewell: Farewell) -> impl Future<Output = ()> + Send;
}
