//! The handle of an open connection: queues messages for its client, closes it, and invokes the client.
//!
//! No function here waits for the client, except [`PendingInvocation::completion`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::response::Response;
use bytes::Bytes;
use http_server::UpgradedStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::send_queue::SendQueue;
use crate::access_key::random_id;
use crate::protocol::handshake::TransportType;
use crate::protocol::{Outcome, Protocol};

/// An open connection, as later requests with its token find it.
#[derive(Debug, Clone)]
pub(crate) struct OpenConnection {
    pub(crate) handle: Arc<ConnectionHandle>,
    pub(crate) transport: TransportHandle,
}

/// A new socket of a client that resumes its connection.
pub(crate) struct Replacement {
    /// When the client asked for it. It may be ready later than one that the client asked for afterwards.
    pub(crate) requested: Instant,
    pub(crate) stream: UpgradedStream,
}

/// Passes later requests of a client to its transport. The channels are small: a client that sends too fast waits.
#[derive(Debug, Clone)]
pub(crate) enum TransportHandle {
    /// Replacement sockets, if the connection can be resumed. Boxed, since a channel allocates slots for many values.
    WebSocket(Option<mpsc::Sender<Box<Replacement>>>),
    /// Bodies of POST requests.
    ServerSentEvents(mpsc::Sender<Bytes>),
    /// Bodies of POST requests, and polls.
    LongPolling { posts: mpsc::Sender<Bytes>, polls: mpsc::Sender<Poll> },
}

impl TransportHandle {
    pub(crate) fn transport_type(&self) -> TransportType {
        match self {
            Self::WebSocket(_) => TransportType::WebSockets,
            Self::ServerSentEvents(_) => TransportType::ServerSentEvents,
            Self::LongPolling { .. } => TransportType::LongPolling,
        }
    }
}

/// A poll of a long-polling client, which takes its response. If it is dropped, the connection has ended.
#[derive(Debug)]
pub(crate) struct Poll(pub(crate) oneshot::Sender<Response>);

/// A connection, as its hub holds it.
#[derive(Debug)]
pub(crate) struct ConnectionHandle {
    pub(crate) send_queue: Arc<SendQueue>,
    invocations: Mutex<Invocations>,
    pub(crate) transport_type: TransportType,
    /// In milliseconds since 1970.
    pub(crate) connected_at: u64,
    /// Set by the handshake.
    protocol: OnceLock<Protocol>,
}

/// The invocations of a client that are not completed.
#[derive(Debug, Default)]
struct Invocations {
    pending: HashMap<String, oneshot::Sender<Outcome>>,
    closed: bool,
}

impl ConnectionHandle {
    /// `connected_at` is in milliseconds since 1970.
    pub(crate) fn new(transport_type: TransportType, send_queue: Arc<SendQueue>, connected_at: u64) -> Self {
        Self { send_queue, invocations: Mutex::default(), transport_type, connected_at, protocol: OnceLock::new() }
    }

    /// The protocol of the client; `None` before the handshake.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.protocol.get().copied()
    }

    pub(super) fn set_protocol(&self, protocol: Protocol) {
        // Only the first handshake sets it.
        let _ = self.protocol.set(protocol);
    }

    /// Registers an invocation under a new id. The caller sends it.
    pub(crate) fn begin_invocation(&self) -> PendingInvocation<'_> {
        let (sender, completion) = oneshot::channel();
        let id = random_id();
        let mut invocations = self.lock();
        if !invocations.closed {
            invocations.pending.insert(id.clone(), sender);
        }
        PendingInvocation { handle: self, id, completion }
    }

    /// Completes an invocation. False if there is none with this id, or its caller no longer waits: a client may complete an
    /// invocation twice, late, or without having been invoked.
    pub(crate) fn complete_invocation(&self, id: &str, outcome: Outcome) -> bool {
        let sender = self.lock().pending.remove(id);
        sender.is_some_and(|sender| sender.send(outcome).is_ok())
    }

    /// Fails all pending and later invocations.
    pub(super) fn fail_invocations(&self) {
        *self.lock() = Invocations { closed: true, ..Invocations::default() };
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Invocations> {
        self.invocations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection has ended without a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionEnded;

/// An invocation that waits for its completion. Dropping it discards the completion.
#[derive(Debug)]
pub(crate) struct PendingInvocation<'a> {
    handle: &'a ConnectionHandle,
    pub(crate) id: String,
    completion: oneshot::Receiver<Outcome>,
}

impl PendingInvocation<'_> {
    /// Waits for the completion. The caller limits the time.
    pub(crate) async fn completion(&mut self) -> Result<Outcome, ConnectionEnded> {
        (&mut self.completion).await.map_err(|_| ConnectionEnded)
    }
}

impl Drop for PendingInvocation<'_> {
    fn drop(&mut self) {
        self.handle.lock().pending.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::send_queue::{Capacity, Writers};
    use super::*;

    fn handle() -> ConnectionHandle {
        let queue = Writers::new().queue(Capacity { messages: 1, bytes: 1 });
        ConnectionHandle::new(TransportType::WebSockets, queue, 0)
    }

    #[tokio::test]
    async fn the_first_completion_counts_and_a_dropped_invocation_is_forgotten() {
        let handle = handle();
        let mut invocation = handle.begin_invocation();
        let id = invocation.id.clone();
        assert!(handle.complete_invocation(&id, Outcome::Void));
        assert!(!handle.complete_invocation(&id, Outcome::Error("late".into())));
        assert!(matches!(invocation.completion().await, Ok(Outcome::Void)));
        let dropped = handle.begin_invocation().id.clone();
        assert!(!handle.complete_invocation(&dropped, Outcome::Void));
        assert!(handle.lock().pending.is_empty());
    }

    #[tokio::test]
    async fn invocations_fail_when_the_connection_has_ended() {
        let handle = handle();
        let mut before = handle.begin_invocation();
        handle.fail_invocations();
        assert!(matches!(before.completion().await, Err(ConnectionEnded)));
        assert!(matches!(handle.begin_invocation().completion().await, Err(ConnectionEnded)));
    }
}
