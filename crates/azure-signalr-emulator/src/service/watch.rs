//! Where `Options::control` is set: what is to go wrong, what was seen, and what can be done to connections.
//!
//! A restart keeps nobody's transport, and nothing that anybody was told: ids, groups and memberships are gone. What
//! stays is what was set: options, keys, faults, and the journal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::Service;
use crate::connection::Link;
use crate::faults::{Command, Faults, Treatment};
use crate::hub::{Connection, ConnectionId, Hubs, UserId};
use crate::hub_name::HubName;
use crate::journal::Journal;
use crate::protocol::{Message, Protocol};
use crate::tickets::Tickets;

/// The faults that are to strike, and what was seen. The two locks are never held together, nor longer than a few lines.
#[derive(Debug)]
pub(crate) struct Watch {
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
}

/// Some of all connections: those that fit everything that is given.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) hub: Option<HubName>,
    pub(crate) user: Option<UserId>,
    pub(crate) connection: Option<ConnectionId>,
}

/// One open connection, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sight {
    pub(crate) connection: String,
    pub(crate) hub: String,
    /// `None` for someone anonymous.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    pub(crate) transport: &'static str,
    pub(crate) protocol: &'static str,
    /// In alphabetical order.
    pub(crate) groups: Vec<String>,
    /// In milliseconds since 1970.
    pub(crate) connected_at: u64,
    /// Messages that wait for the client.
    pub(crate) queued: usize,
    pub(crate) frozen: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { faults: Mutex::default(), journal: Mutex::new(Journal::new()) }
    }

    /// A panic elsewhere cannot leave the list half changed, so poison says nothing.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nor the journal.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Selection {
    fn fits(&self, hub: &HubName, connection: &Connection<'_, Arc<Link>>) -> bool {
        self.hub.as_ref().is_none_or(|wanted| wanted == hub)
            && self.user.as_ref().is_none_or(|wanted| Some(wanted) == connection.user)
            && self.connection.as_ref().is_none_or(|wanted| wanted == connection.id)
    }
}

impl Service {
    /// Does something to connections, and returns to how many.
    pub(crate) fn command(&self, selection: &Selection, command: Command) -> usize {
        let state = self.lock();
        let mut reached = 0;
        for (_, connection) in state.hubs.all().filter(|(hub, connection)| selection.fits(hub, connection)) {
            obey(connection.link, command);
            reached += 1;
        }
        reached
    }

    /// All connections, by hub and id.
    pub(crate) fn survey(&self) -> Vec<Sight> {
        let state = self.tidied();
        let sights = state.hubs.all().map(|(hub, connection)| {
            let groups = state.hubs.groups_of(hub, connection.id);
            Sight::of(hub, &connection, groups.map(|group| group.as_str().to_owned()).collect())
        });
        let mut sights: Vec<_> = sights.collect();
        drop(state);
        sights
            .sort_unstable_by(|one, other| (&one.hub, &one.connection).cmp(&(&other.hub, &other.connection)));
        sights
    }

    /// Drops everybody and forgets everything, as if the service had been started anew.
    pub(crate) fn restart(&self) {
        let mut state = self.lock();
        state.tickets.open_links().for_each(|door| door.link.abandon());
        state.hubs = Hubs::default();
        state.tickets = Tickets::new(self.options.connection_token_lifetime, self.options.max_connections);
    }
}

/// Messages on their way.
impl Service {
    /// What is to become of a message in this hub, as far as all who get it are concerned.
    pub(super) fn treatment_in(&self, hub: &HubName) -> Treatment {
        self.watch.as_ref().map_or(Treatment::Deliver, |watch| watch.faults().treat_hub(hub.as_str()))
    }

    /// Queues a message for one connection, unless it is to go wrong in all of its hub, or for this one.
    pub(super) fn push(
        &self,
        hub: &HubName,
        id: &ConnectionId,
        link: &Link,
        message: &Message,
        in_hub: Treatment,
    ) {
        let treatment = match (in_hub, &self.watch) {
            (Treatment::Deliver, Some(watch)) => watch.faults().treat_connection(hub.as_str(), id.as_str()),
            (treatment, _) => treatment,
        };
        match treatment {
            Treatment::Deliver => link.push(message),
            Treatment::Duplicate => {
                link.push(message);
                link.push(message);
            }
            Treatment::Reorder => link.push_after_next(message),
            Treatment::Drop => {}
        }
    }
}

fn obey(link: &Link, command: Command) {
    match command {
        Command::Drop => link.sever(),
        Command::Freeze => link.outbox().freeze(true),
        Command::Thaw => link.outbox().freeze(false),
        Command::Expire => link.expire(),
    }
}

impl Sight {
    fn of(hub: &HubName, connection: &Connection<'_, Arc<Link>>, mut groups: Vec<String>) -> Self {
        let link = connection.link;
        groups.sort_unstable();
        Self {
            connection: connection.id.to_string(),
            hub: hub.to_string(),
            user: connection.user.map(|user| user.as_str().to_owned()),
            transport: link.transport().name(),
            protocol: link.protocol().map_or("none", Protocol::name),
            groups,
            connected_at: link.connected_at(),
            queued: link.outbox().len(),
            frozen: link.outbox().is_frozen(),
        }
    }
}
