//! What callers do with the connections and groups of a hub: each method takes the lock once, and does nothing that
//! waits.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::{Service, State};
use crate::connection::{Closure, Link};
use crate::hub::{Connection, ConnectionId, GroupName, NotAdded, TooManyGroups, UserId};
use crate::hub_name::HubName;
use crate::protocol::Message;

/// Some of the connections of a hub.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
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
        let in_hub = self.treatment_in(hub);
        self.tidied().each(hub, audience, excluded, |connection| {
            self.push(hub, connection.id, connection.link, message, in_hub);
        });
    }

    /// One connection, to speak to it alone.
    pub(crate) fn link(&self, hub: &HubName, id: &ConnectionId) -> Option<Arc<Link>> {
        Some(self.lock().hubs.connection(hub, id)?.link.clone())
    }

    /// Closes connections, and returns how many. They are no longer of the hub from here on, though each still gets
    /// what is queued for it.
    pub(crate) fn close(
        &self,
        hub: &HubName,
        audience: &Audience,
        excluded: &HashSet<ConnectionId>,
        closure: &Closure,
    ) -> usize {
        let (mut state, mut closed) = (self.tidied(), Vec::new());
        state.each(hub, audience, excluded, |connection| {
            connection.link.close(closure.clone());
            closed.push(connection.id.clone());
        });
        for id in &closed {
            state.hubs.leave(hub, id);
        }
        closed.len()
    }

    /// Whether there is any such connection.
    pub(crate) fn exists(&self, hub: &HubName, audience: &Audience) -> bool {
        let (state, nobody) = (self.tidied(), HashSet::new());
        match audience {
            Audience::Everyone => state.hubs.everyone(hub, &nobody).next().is_some(),
            Audience::Group(group) => state.hubs.has_group(hub, group),
            Audience::User(user) => state.hubs.user(hub, user, &nobody).next().is_some(),
            Audience::Connection(id) => state.hubs.connection(hub, id).is_some(),
        }
    }

    /// At most `count` connections of a group with their users, from after one on in the order of ids, and whether
    /// they are the last.
    pub(crate) fn list_group(
        &self,
        hub: &HubName,
        group: &GroupName,
        after: Option<&ConnectionId>,
        count: usize,
    ) -> (Vec<(ConnectionId, Option<UserId>)>, bool) {
        let state = self.tidied();
        let mut connections = state.hubs.group_after(hub, group, after);
        let listed = connections.by_ref().take(count);
        let listed = listed.map(|connection| (connection.id.clone(), connection.user.cloned())).collect();
        (listed, connections.next().is_none())
    }

    pub(crate) fn add_to_group(
        &self,
        hub: &HubName,
        id: &ConnectionId,
        group: &GroupName,
    ) -> Result<(), NotAdded> {
        self.tidied().hubs.add(hub, id, group)
    }

    pub(crate) fn remove_from_group(&self, hub: &HubName, id: &ConnectionId, group: &GroupName) {
        self.tidied().hubs.remove(hub, id, group);
    }

    pub(crate) fn remove_from_all_groups(&self, hub: &HubName, id: &ConnectionId) {
        self.tidied().hubs.remove_from_all(hub, id);
    }

    pub(crate) fn is_user_in_group(&self, hub: &HubName, user: &UserId, group: &GroupName) -> bool {
        self.tidied().hubs.has_user_in(hub, user, group)
    }

    /// For a time, or as long as memberships without one last.
    pub(crate) fn add_user_to_group(
        &self,
        hub: &HubName,
        user: &UserId,
        group: &GroupName,
        ttl: Option<Duration>,
    ) -> Result<(), TooManyGroups> {
        self.tidied().hubs.add_user(Instant::now(), hub, user, group, ttl)
    }

    pub(crate) fn remove_user_from_group(&self, hub: &HubName, user: &UserId, group: &GroupName) {
        self.tidied().hubs.remove_user(hub, user, group);
    }

    pub(crate) fn remove_user_from_all_groups(&self, hub: &HubName, user: &UserId) {
        self.tidied().hubs.remove_user_from_all(hub, user);
    }

    /// The state, with all memberships ended that are over by now.
    pub(super) fn tidied(&self) -> MutexGuard<'_, State> {
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
