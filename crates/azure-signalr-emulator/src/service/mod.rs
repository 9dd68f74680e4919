//! The shared state of one emulator, and the guard that keeps a connection in it.
//!
//! Two locks protect the state, for sections without I/O: one the hubs, one the connection tokens. No code holds both, so that no delivery
//! waits for clients that connect. A broadcast is added to all send queues under the lock of the hubs, so all members of a hub receive
//! messages in the same order. While the hubs are locked, the waiting messages, the faults, a queue, the list of a writer or the traffic log
//! may be locked, one at a time; only the faults stay locked while queues are.
//!
//! A message that a REST call sends is added to the waiting messages. While all writers are busy it waits there, and is then added to the
//! queues together with others. Every operation on the hubs first distributes what waits: what was sent before it has an effect before it.

mod connection_handle;
mod delivery;
pub(crate) mod hub_operations;
mod send_queue;
mod waiting_messages;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::info;

use crate::access_key::random_ids;
use crate::access_keys::AccessKeys;
use crate::auth::{Auth, VerifiedToken};
use crate::connection_tokens::{
    ConnectError, ConnectionToken, ConnectionTokens, MAX_WAITING_TOKENS, NegotiatedConnection, TokenState,
};
use crate::diagnostics::{Diagnostics, MessageRecorder, unix_milliseconds};
use crate::hub::{ConnectionId, HubName, Hubs, UserId};
use crate::options::Options;
use crate::protocol::Protocol;
use crate::upstream::Upstream;

pub(crate) use connection_handle::{ConnectionHandle, OpenConnection, Poll, Replacement, TransportHandle};
pub(crate) use send_queue::{Batch, CloseOptions, NextSend, SendQueue, StopReason, Unsequenced};
use send_queue::{Capacity, Writers};
use waiting_messages::WaitingMessages;
pub(crate) use waiting_messages::{AddressedMessage, Recipients};

/// The state shared by all endpoints and connections of one emulator.
pub(crate) struct Service {
    pub(crate) options: Options,
    pub(crate) access_keys: Arc<AccessKeys>,
    pub(crate) auth: Auth,
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// Present where `Options::control` is set.
    pub(crate) diagnostics: Option<Arc<Diagnostics>>,
    writers: Writers,
    /// The connections after their handshake, and their groups. Never locked together with `admission`.
    hubs: Mutex<Hubs<Arc<ConnectionHandle>>>,
    /// Locked after `hubs` or alone.
    waiting: Mutex<WaitingMessages>,
    /// The connection tokens, and who may connect. Never locked together with `hubs`.
    admission: Mutex<Admission>,
    /// Notified when a connection has ended.
    connection_ended: Notify,
}

/// The connections from their negotiation to their end.
struct Admission {
    tokens: ConnectionTokens<OpenConnection>,
    /// The number of [`ConnectionGuard`]s.
    guards: usize,
    closing: bool,
}

impl Service {
    pub(crate) fn new(options: Options) -> Self {
        let access_keys = Arc::new(AccessKeys::new(&options.access_keys, options.access_keys_file.clone()));
        let auth = Auth::new(access_keys.clone(), &options.allowed_hosts, options.clock_leeway);
        let upstream = options.upstream.clone().map(|upstream| Upstream::new(upstream, access_keys.clone()).into());
        Self {
            auth: auth.with_entra(options.entra.clone()).lenient(options.lenient),
            upstream,
            access_keys,
            diagnostics: options.control.then(|| Arc::new(Diagnostics::new())),
            writers: Writers::new(),
            hubs: Mutex::default(),
            waiting: Mutex::default(),
            admission: Mutex::new(Admission { tokens: no_tokens(&options), guards: 0, closing: false }),
            connection_ended: Notify::new(),
            options,
        }
    }

    /// Adds a negotiated connection, which waits for its client.
    pub(crate) fn issue(&self, token: ConnectionToken, negotiated: NegotiatedConnection) -> Result<(), ConnectError> {
        let mut admission = self.admission();
        if admission.closing {
            return Err(ConnectError::Closing);
        }
        admission.tokens.issue(Instant::now(), token, negotiated)
    }

    /// The access token with which the connection was negotiated for this hub, while later requests may carry it.
    pub(crate) fn remembered_token(&self, token: &str, hub: &HubName) -> Option<Arc<VerifiedToken>> {
        self.admission().tokens.access_token(token, hub)
    }

    /// The state of a connection token for this user of this hub.
    pub(crate) fn token_state(&self, token: &str, hub: &HubName, user: Option<&UserId>) -> TokenState<OpenConnection> {
        self.admission().tokens.state(Instant::now(), token, hub, user)
    }

    /// Opens a connection; without a token, one that was not negotiated.
    pub(crate) fn connect(
        self: &Arc<Self>,
        token: Option<&str>,
        hub: HubName,
        user: Option<UserId>,
        transport: TransportHandle,
    ) -> Result<ConnectionGuard, ConnectError> {
        let capacity = Capacity { messages: self.options.max_queued_messages, bytes: self.options.max_queued_bytes };
        let transport_type = transport.transport_type();
        let handle = Arc::new(ConnectionHandle::new(transport_type, self.writers.queue(capacity), unix_milliseconds()));
        let open = OpenConnection { handle: handle.clone(), transport };
        // A WebSocket that cannot be resumed is the last request of its client.
        let later_requests = !matches!(open.transport, TransportHandle::WebSocket(None));
        let mut admission = self.admission();
        if admission.closing {
            return Err(ConnectError::Closing);
        }
        let tokens = &mut admission.tokens;
        let (token, connection) = match token {
            Some(token) => tokens.redeem(Instant::now(), token, &hub, user.as_ref(), open, later_requests)?,
            None => {
                let [token, connection] = random_ids();
                let (token, connection) = (ConnectionToken::from(token), ConnectionId::new(&connection));
                let negotiated = NegotiatedConnection {
                    connection: connection.clone(),
                    hub: hub.clone(),
                    user: user.clone(),
                    may_resume: false,
                    access_token: None,
                };
                tokens.open(token.clone(), negotiated, open)?;
                (token, connection)
            }
        };
        admission.guards += 1;
        drop(admission);
        let recorder = self.recorder(&hub, &connection);
        Ok(ConnectionGuard { service: self.clone(), token, hub, connection, user, handle, recorder })
    }

    /// Records the messages of a connection where `Options::control` is set.
    pub(crate) fn recorder(&self, hub: &HubName, connection: &ConnectionId) -> Option<MessageRecorder> {
        let diagnostics = self.diagnostics.clone()?;
        Some(MessageRecorder::new(diagnostics, hub.clone(), connection.clone()))
    }

    /// Removes a connection token.
    pub(crate) fn remove_token(&self, token: &str) {
        self.admission().tokens.remove(token);
    }

    /// Rejects new connections and closes all open ones.
    pub(crate) fn close_all(&self) {
        self.distribute();
        let mut admission = self.admission();
        admission.closing = true;
        let options = CloseOptions { reason: None, allow_reconnect: true };
        admission.tokens.open_connections().for_each(|open| open.handle.send_queue.close(options.clone()));
    }

    /// Waits until all connections are closed and their upstream posts are done.
    pub(crate) async fn closed(&self) {
        loop {
            let ended = self.connection_ended.notified();
            if self.admission().guards == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Locks the hubs, and puts the waiting messages into the queues of their recipients, so that no operation overtakes them.
    ///
    /// Poisoning is ignored: no update can panic halfway.
    fn hubs(&self) -> MutexGuard<'_, Hubs<Arc<ConnectionHandle>>> {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        self.distribute_in(&mut hubs);
        hubs
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn waiting(&self) -> MutexGuard<'_, WaitingMessages> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_tokens(options: &Options) -> ConnectionTokens<OpenConnection> {
    ConnectionTokens::new(options.connection_token_lifetime, options.max_connections, MAX_WAITING_TOKENS)
}

/// Keeps one open connection in the service. Dropping it removes the connection.
#[must_use = "dropping the guard ends the connection"]
pub(crate) struct ConnectionGuard {
    service: Arc<Service>,
    token: ConnectionToken,
    hub: HubName,
    pub(crate) connection: ConnectionId,
    user: Option<UserId>,
    pub(crate) handle: Arc<ConnectionHandle>,
    pub(crate) recorder: Option<MessageRecorder>,
}

impl ConnectionGuard {
    /// Adds the connection to its hub. From here on it receives messages, encoded in `protocol`.
    pub(crate) fn join_hub(&self, protocol: Protocol) {
        let Self { hub, connection, .. } = self;
        self.handle.set_protocol(protocol);
        let (user, handle) = (self.user.as_ref(), self.handle.clone());
        self.service.hubs().join(Instant::now(), hub, connection, user, handle);
        let (user, transport) = (user.map(UserId::as_str), self.handle.transport_type);
        info!(%hub, %connection, user, %transport, "connection {connection} joined hub {hub}");
    }

    /// Removes the connection from its hub; its transport may still be open.
    pub(crate) fn leave_hub(&self) {
        self.service.hubs().leave(&self.hub, &self.connection);
        self.handle.fail_invocations();
    }

    /// Puts the waiting messages into the queues of their recipients, before a message that must not overtake them.
    pub(crate) fn distribute(&self) {
        self.service.distribute();
    }

    /// Removes the connection token. The service still waits for the guard.
    pub(crate) fn remove_token(&self) {
        self.service.remove_token(&self.token);
    }

    pub(crate) fn options(&self) -> &Options {
        &self.service.options
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.leave_hub();
        let mut admission = self.service.admission();
        admission.tokens.remove(&self.token);
        admission.guards -= 1;
        drop(admission);
        self.service.connection_ended.notify_waiters();
    }
}

/// The wall clock in seconds since 1970, as tokens use it.
pub(crate) fn unix_now() -> u64 {
    unix_milliseconds() / 1_000
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::protocol::OutgoingMessage;

    /// Whether `operation` ends.
    fn ends(service: &Arc<Service>, operation: impl FnOnce(&Arc<Service>) + Send + 'static) -> bool {
        let (ended, end) = mpsc::channel();
        let service = service.clone();
        thread::spawn(move || {
            operation(&service);
            // The test may have given up.
            let _ = ended.send(());
        });
        end.recv_timeout(Duration::from_secs(10)).is_ok()
    }

    #[test]
    fn neither_deliveries_nor_connection_tokens_wait_for_the_other() {
        let service = Arc::new(Service::new(Options::default()));
        let hub = HubName::of_client("chat").unwrap();
        let admission = service.admission();
        let recipients_hub = hub.clone();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        assert!(ends(&service, move |service| {
            let _runtime = handle.enter();
            service.send(AddressedMessage {
                hub: recipients_hub,
                recipients: Recipients::Everyone,
                excluded: HashSet::new(),
                message: OutgoingMessage::invocation("t".to_owned(), Box::default()),
            });
            service.distribute();
        }));
        drop(admission);
        let _hubs = service.hubs();
        assert!(ends(&service, move |service| {
            let _ = service.token_state("unknown", &hub, None);
            service.remove_token("unknown");
        }));
    }
}
