//! The one thing all endpoints share: who is connected, and what is set.
//!
//! All state is behind one lock, held for short sections without I/O. Broadcasting puts into every queue under it, so
//! all members of a hub see all messages in the same order.

mod door;
mod hubs;
mod orders;
mod seat;
mod watch;
mod witness;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Options;
use crate::auth::Auth;
use crate::connection::{Capacity, Closure, Contact, Link};
use crate::hub::{ConnectionId, Hubs, UserId};
use crate::hub_name::HubName;
use crate::random;
use crate::tickets::{ConnectionToken, Holder, Invalid, SoldOut, Standing, Tickets};
use crate::upstream::{ClientDetails, Upstream};

pub(crate) use door::{Door, Entrance, Poll, PollAnswer};
pub(crate) use hubs::Audience;
pub(crate) use orders::Order;
pub(crate) use seat::Seat;
pub(crate) use watch::{Selection, Sight, Watch};
pub(crate) use witness::Witness;

/// Shared by all endpoints and connections of one emulator.
pub(crate) struct Service {
    pub(crate) options: Options,
    pub(crate) auth: Auth,
    upstream: Option<Arc<Upstream>>,
    /// Where the control API is wanted.
    pub(crate) watch: Option<Arc<Watch>>,
    state: Mutex<State>,
    /// A connection has ended.
    left: Notify,
}

struct State {
    hubs: Hubs<Arc<Link>>,
    tickets: Tickets<Door>,
    /// How many are taken.
    seats: usize,
    closing: bool,
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
            tickets: Tickets::new(options.connection_token_lifetime, options.max_connections),
            seats: 0,
            closing: false,
        };
        Self {
            auth: Auth::new(&options.access_keys, &options.allowed_hosts, options.clock_leeway)
                .with_entra(options.entra.clone())
                .lenient(options.lenient),
            upstream: options
                .upstream
                .clone()
                .map(|upstream| Upstream::new(upstream, &options.access_keys).into()),
            watch: options.control.then(|| Arc::new(Watch::new())),
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

    /// How a negotiated id stands, for this user of this hub.
    pub(crate) fn standing(&self, token: &str, hub: &HubName, user: Option<&UserId>) -> Standing<Door> {
        self.lock().tickets.standing(Instant::now(), token, hub, user)
    }

    /// The upstream for a client that connects, if there is an upstream.
    pub(crate) fn contact(&self, facts: &ClientDetails<'_>) -> Option<Contact> {
        let upstream = self.upstream.clone()?;
        let client = upstream.connection_headers(facts);
        let witness = self.watch.clone().map(|watch| Witness::new(watch, facts.hub, facts.connection_id));
        Some(Contact::new(upstream, client, witness))
    }

    /// Takes a seat for a connection; without a token, for one that did not negotiate.
    pub(crate) fn seat(
        self: &Arc<Self>,
        token: Option<&str>,
        hub: HubName,
        user: Option<UserId>,
        entrance: Entrance,
    ) -> Result<Seat, NoSeat> {
        let capacity =
            Capacity { messages: self.options.max_queued_messages, bytes: self.options.max_queued_bytes };
        let link = Arc::new(Link::new(entrance.transport(), capacity, unix_milliseconds()));
        let door = Door { link: link.clone(), entrance };
        let mut state = self.lock();
        if state.closing {
            return Err(NoSeat::Closing);
        }
        let now = Instant::now();
        let (token, connection) = match token {
            Some(token) => state.tickets.redeem(now, token, &hub, user.as_ref(), door)?,
            None => {
                let token = ConnectionToken::from(random::id());
                let connection = ConnectionId::new(&random::id());
                let holder = Holder {
                    connection: connection.clone(),
                    hub: hub.clone(),
                    user: user.clone(),
                    may_resume: false,
                };
                state.tickets.open(now, token.clone(), holder, door)?;
                (token, connection)
            }
        };
        state.seats += 1;
        drop(state);
        let witness = self.watch.clone();
        let witness = witness.map(|watch| Witness::new(watch, hub.as_str(), connection.as_str()));
        Ok(Seat { service: self.clone(), token, hub, connection, user, link, witness })
    }

    /// Forgets an id, whatever becomes of its connection.
    pub(crate) fn forget(&self, token: &str) {
        self.lock().tickets.release(token);
    }

    /// Admits nobody any more and ends all connections.
    pub(crate) fn close_all(&self) {
        let mut state = self.lock();
        state.closing = true;
        let closure = Closure { reason: None, allow_reconnect: true };
        state.tickets.open_links().for_each(|door| door.link.close(closure.clone()));
    }

    /// Waits until no connection is open, and nothing is left to be done for one.
    pub(crate) async fn closed(&self) {
        loop {
            let left = self.left.notified();
            if self.lock().seats == 0 {
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

/// Seconds since 1970, for what tokens say of time.
pub(crate) fn unix_now() -> u64 {
    unix_time().as_secs()
}

/// Milliseconds since 1970, for who wants to know when something was.
pub(crate) fn unix_milliseconds() -> u64 {
    u64::try_from(unix_time().as_millis()).unwrap_or(u64::MAX)
}

/// The only look at the wall clock. One set before 1970 makes every token look not yet valid, which is the safe way to
/// be wrong.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
