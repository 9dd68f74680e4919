//! The one thing all endpoints share: who is connected, and what is set.
//!
//! All state is behind one lock, held for short sections without I/O. Broadcasting puts into every queue under it, so
//! all members of a hub see all messages in the same order.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::info;

use crate::Options;
use crate::auth::Auth;
use crate::hub::{ConnectionId, Hubs, UserId};
use crate::hub_name::HubName;
use crate::random;
use crate::tickets::{ConnectionToken, Holder, Invalid, SoldOut, Standing, Tickets};
use crate::transport::outbox::{Capacity, Outbox};

/// Shared by all endpoints and connections of one emulator.
pub(crate) struct Service {
    pub(crate) options: Options,
    pub(crate) auth: Auth,
    state: Mutex<State>,
    /// A connection has ended.
    left: Notify,
}

struct State {
    hubs: Hubs<Arc<Outbox>>,
    tickets: Tickets<Arc<Outbox>>,
    closing: bool,
}

/// Whom a message is for.
pub(crate) enum Recipient {
    Everyone { excluded: HashSet<ConnectionId> },
    User(UserId),
    Connection(ConnectionId),
}

/// Why there is no seat.
#[derive(Debug)]
pub(crate) enum NoSeat {
    Unknown,
    InUse,
    SoldOut,
    Closing,
}

impl Service {
    pub(crate) fn new(options: Options) -> Self {
        let state = State {
            hubs: Hubs::default(),
            tickets: Tickets::new(options.id_lifetime, options.max_connections),
            closing: false,
        };
        Self {
            auth: Auth::new(&options.access_keys, &options.hosts, options.clock_leeway)
                .with_entra(options.entra.clone()),
            state: Mutex::new(state),
            left: Notify::new(),
            options,
        }
    }

    /// Issues the ids of a connection to be. `token` is the secret of the two.
    pub(crate) fn issue(&self, token: ConnectionToken, holder: Holder) -> Result<(), NoSeat> {
        let mut state = self.lock();
        if state.closing {
            return Err(NoSeat::Closing);
        }
        state.tickets.issue(Instant::now(), token, holder).map_err(|SoldOut| NoSeat::SoldOut)
    }

    /// How a negotiated id stands.
    pub(crate) fn standing(&self, token: &str) -> Standing {
        self.lock().tickets.standing(Instant::now(), token)
    }

    /// Takes a seat for a connection; without a token, for one that did not negotiate.
    pub(crate) fn seat(
        self: &Arc<Self>,
        token: Option<&str>,
        hub: HubName,
        user: Option<UserId>,
    ) -> Result<Seat, NoSeat> {
        let capacity =
            Capacity { messages: self.options.max_queued_messages, bytes: self.options.max_queued_bytes };
        let outbox = Arc::new(Outbox::new(capacity));
        let mut state = self.lock();
        if state.closing {
            return Err(NoSeat::Closing);
        }
        let (now, link) = (Instant::now(), outbox.clone());
        let (token, connection) = match token {
            Some(token) => state.tickets.redeem(now, token, &hub, user.as_ref(), link)?,
            None => {
                let token = ConnectionToken::from(random::id());
                state.tickets.open(now, token.clone(), link)?;
                (token, ConnectionId::new(&random::id()))
            }
        };
        drop(state);
        Ok(Seat { service: self.clone(), token, hub, connection, user, outbox })
    }

    /// Queues a frame for everyone it is for.
    pub(crate) fn deliver(&self, hub: &HubName, recipient: &Recipient, frame: &Utf8Bytes) {
        let state = self.lock();
        match recipient {
            Recipient::Everyone { excluded } => {
                state.hubs.everyone(hub, excluded).for_each(|outbox| outbox.push(frame));
            }
            Recipient::User(user) => state.hubs.user(hub, user).for_each(|outbox| outbox.push(frame)),
            Recipient::Connection(id) => {
                state.hubs.connection(hub, id).into_iter().for_each(|outbox| outbox.push(frame));
            }
        }
    }

    pub(crate) fn has_connection(&self, hub: &HubName, id: &ConnectionId) -> bool {
        self.lock().hubs.connection(hub, id).is_some()
    }

    pub(crate) fn has_user(&self, hub: &HubName, user: &UserId) -> bool {
        self.lock().hubs.user(hub, user).next().is_some()
    }

    /// Admits nobody any more and ends all connections.
    pub(crate) fn close_all(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.tickets.open_links().for_each(|outbox| outbox.close());
    }

    /// Waits until no connection is open.
    pub(crate) async fn closed(&self) {
        loop {
            let left = self.left.notified();
            if self.lock().tickets.open_links().next().is_none() {
                return;
            }
            left.await;
        }
    }

    /// A panic elsewhere cannot leave the state half changed, so poison says nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Invalid> for NoSeat {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Unknown => Self::Unknown,
            Invalid::InUse => Self::InUse,
        }
    }
}

impl From<SoldOut> for NoSeat {
    fn from(SoldOut: SoldOut) -> Self {
        Self::SoldOut
    }
}

/// The place of one open connection. Dropping it is leaving.
#[must_use = "dropping a seat ends the connection"]
pub(crate) struct Seat {
    service: Arc<Service>,
    token: ConnectionToken,
    hub: HubName,
    connection: ConnectionId,
    user: Option<UserId>,
    pub(crate) outbox: Arc<Outbox>,
}

impl Seat {
    /// From here on the connection is one of its hub's, and messages queue up for it.
    pub(crate) fn join(&self) {
        let Self { hub, connection, .. } = self;
        let user = self.user.as_ref();
        self.service.lock().hubs.join(hub, connection, user, self.outbox.clone());
        let user = user.map(UserId::as_str);
        info!(%hub, %connection, user, "connection {connection} joined hub {hub}");
    }

    pub(crate) fn options(&self) -> &Options {
        &self.service.options
    }

    pub(crate) fn connection(&self) -> &ConnectionId {
        &self.connection
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.service.lock();
        state.hubs.leave(&self.hub, &self.connection);
        state.tickets.release(&self.token);
        drop(state);
        self.service.left.notify_waiters();
    }
}

/// Seconds since 1970, for what tokens say of time: the only look at the wall clock.
pub(crate) fn unix_now() -> u64 {
    // A clock set before 1970 makes every token look not yet valid, which is the safe way to be wrong.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
