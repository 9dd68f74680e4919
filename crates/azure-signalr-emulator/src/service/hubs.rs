//! What callers do with the connections of a hub: each method takes the lock once, and does nothing that waits.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use tokio::time::Instant;

use super::{Service, State};
use crate::connection::Link;
use crate::hub::{Connection, ConnectionId, GroupName, UserId};
use crate::hub_name::HubName;
use crate::protocol::Message;

/// Some of the connections of a hub.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
    #[expect(dead_code, reason = "groups have no callers yet")]
    Group(GroupName),
    User(UserId),
    Connection(ConnectionId),
}

impl Service {
    /// Queues a message for everyone it is for.
    pub(crate) fn deliver(
        &self,
        hub: &HubName,
        audience: &Audience,
        excluded: &HashSet<ConnectionId>,
        message: &Message,
    ) {
        self.tidied().each(hub, audience, excluded, |connection| connection.link.push(message));
    }

    /// Whether there is any such connection.
    pub(crate) fn exists(&self, hub: &HubName, audience: &Audience) -> bool {
        let (mut exists, nobody) = (false, HashSet::new());
        self.tidied().each(hub, audience, &nobody, |_| exists = true);
        exists
    }

    /// The state, with all memberships ended that are over by now.
    fn tidied(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.hubs.tidy(Instant::now());
        state
    }
}

impl State {
    fn each<'a>(
        &'a self,
        hub: &HubName,
        audience: &'a Audience,
        excluded: &'a HashSet<ConnectionId>,
        act: impl FnMut(Connection<'a, Arc<Link>>),
    ) {
        match audience {
            Audience::Everyone => self.hubs.everyone(hub, excluded).for_each(act),
            Audience::Group(group) => self.hubs.group(hub, group, excluded).for_each(act),
            Audience::User(user) => self.hubs.user(hub, user, excluded).for_each(act),
            Audience::Connection(id) => self.hubs.connection(hub, id).into_iter().for_each(act),
        }
    }
}
