//! The connections, users and groups of all hubs. Pure state: no I/O, no clock, no locks.
//!
//! A hub exists while it has connections; users can also be in groups of hubs without connections. `H` is the handle of a
//! connection, a type of the caller.
//!
//! Expired memberships of users end only in [`Hubs::remove_expired`]: call it before any question about groups.

mod hub_connections;
mod ids;
#[cfg(test)]
mod tests;
mod user_memberships;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use hub_connections::{HubConnections, Reason};
use user_memberships::{HubUser, UserMemberships};

pub(crate) use hub_connections::{AddToGroupError, Connection, TooManyGroups};
pub(crate) use ids::{ConnectionId, GroupName, HubName, InvalidHubName, UserId};

/// All hubs with connections, and all memberships of users.
#[derive(Debug)]
pub(crate) struct Hubs<H> {
    hubs: HashMap<HubName, HubConnections<H>>,
    memberships: UserMemberships,
}

impl<H> Default for Hubs<H> {
    fn default() -> Self {
        Self { hubs: HashMap::new(), memberships: UserMemberships::default() }
    }
}

/// Connections.
impl<H> Hubs<H> {
    /// Adds a connection, and puts it into the groups of its user. A connection with the same id is replaced.
    pub(crate) fn join(&mut self, now: Instant, hub: &HubName, id: &ConnectionId, user: Option<&UserId>, handle: H) {
        self.remove_expired(now);
        self.leave(hub, id);
        let connections = self.hubs.entry(hub.clone()).or_default();
        connections.join(id, user, handle);
        if let Some(user) = user {
            let hub_user = HubUser { hub: hub.clone(), user: user.clone() };
            self.memberships.groups(&hub_user).for_each(|group| connections.add_for_user(id, group));
        }
    }

    /// Removes a connection, and its hub if that has no other. False if it did not exist.
    pub(crate) fn leave(&mut self, hub: &HubName, id: &ConnectionId) -> bool {
        let Some(connections) = self.hubs.get_mut(hub) else { return false };
        let existed = connections.leave(id);
        if connections.is_empty() {
            self.hubs.remove(hub);
        }
        existed
    }

    /// Ends the memberships of users that have expired at `now`, and removes their connections from the groups.
    pub(crate) fn remove_expired(&mut self, now: Instant) {
        while let Some((HubUser { hub, user }, group)) = self.memberships.pop_expired(now) {
            self.remove_reason(&hub, &user, &group, Reason::User);
        }
    }

    /// Every connection of every hub, in any order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&HubName, Connection<'_, H>)> {
        self.hubs.iter().flat_map(|(hub, connections)| connections.all().map(move |connection| (hub, connection)))
    }

    /// The connections of a hub.
    pub(crate) fn everyone<'a>(&'a self, hub: &HubName) -> impl Iterator<Item = Connection<'a, H>> {
        self.hubs.get(hub).into_iter().flat_map(HubConnections::all)
    }

    /// The connections of a user.
    pub(crate) fn user<'a>(&'a self, hub: &HubName, user: &'a UserId) -> impl Iterator<Item = Connection<'a, H>> {
        self.hubs.get(hub).into_iter().flat_map(|connections| connections.of_user(user))
    }

    /// The connections of a group with ids greater than `after`, or all of them, in the order of their ids.
    pub(crate) fn group<'a>(
        &'a self,
        hub: &HubName,
        group: &'a GroupName,
        after: Option<&'a ConnectionId>,
    ) -> impl Iterator<Item = Connection<'a, H>> {
        self.hubs.get(hub).into_iter().flat_map(move |connections| connections.of_group(group, after))
    }

    /// The connection, if it exists.
    pub(crate) fn connection(&self, hub: &HubName, id: &ConnectionId) -> Option<Connection<'_, H>> {
        self.hubs.get(hub)?.connection(id)
    }

    /// Whether the group has a connection.
    pub(crate) fn has_group(&self, hub: &HubName, group: &GroupName) -> bool {
        self.hubs.get(hub).is_some_and(|connections| connections.has_group(group))
    }

    /// The groups of a connection, in any order.
    pub(crate) fn groups_of(&self, hub: &HubName, id: &ConnectionId) -> impl Iterator<Item = &GroupName> {
        self.hubs.get(hub).into_iter().flat_map(|connections| connections.groups_of(id))
    }
}

/// Groups of connections, which last as long as the connection.
impl<H> Hubs<H> {
    /// Adds a connection to a group.
    pub(crate) fn add(&mut self, hub: &HubName, id: &ConnectionId, group: &GroupName) -> Result<(), AddToGroupError> {
        self.hubs.get_mut(hub).ok_or(AddToGroupError::UnknownConnection)?.add(id, group)
    }

    /// Removes a connection from a group. If its user is a member, the user's other and later connections stay in it.
    pub(crate) fn remove(&mut self, hub: &HubName, id: &ConnectionId, group: &GroupName) {
        if let Some(connections) = self.hubs.get_mut(hub) {
            connections.remove(id, group);
        }
    }

    /// Removes a connection from all groups, in the same way.
    pub(crate) fn remove_from_all(&mut self, hub: &HubName, id: &ConnectionId) {
        if let Some(connections) = self.hubs.get_mut(hub) {
            connections.remove_from_all(id);
        }
    }
}

/// Groups of users, which include later connections.
impl<H> Hubs<H> {
    /// Adds a user to a group for `ttl`. Without one the membership lasts a year, and a user keeps the latest hundred of
    /// those. Zero adds the current connections only, as long as they last.
    pub(crate) fn add_user(
        &mut self,
        now: Instant,
        hub: &HubName,
        user: &UserId,
        group: &GroupName,
        ttl: Option<Duration>,
    ) -> Result<(), TooManyGroups> {
        if ttl == Some(Duration::ZERO) {
            let Some(connections) = self.hubs.get_mut(hub) else { return Ok(()) };
            return connections.add_user_once(user, group);
        }
        let hub_user = HubUser { hub: hub.clone(), user: user.clone() };
        let replaced = self.memberships.add(now, &hub_user, group, ttl)?;
        if let Some(connections) = self.hubs.get_mut(hub) {
            connections.add_user(user, group);
        }
        if let Some(group) = replaced {
            self.remove_reason(hub, user, &group, Reason::User);
        }
        Ok(())
    }

    /// Removes a user from a group. Connections that were added themselves stay.
    pub(crate) fn remove_user(&mut self, hub: &HubName, user: &UserId, group: &GroupName) {
        let hub_user = HubUser { hub: hub.clone(), user: user.clone() };
        self.memberships.remove(&hub_user, group);
        self.remove_reason(hub, user, group, Reason::User);
        self.remove_reason(hub, user, group, Reason::UserOnce);
    }

    /// Removes a user from all groups, in the same way.
    pub(crate) fn remove_user_from_all(&mut self, hub: &HubName, user: &UserId) {
        self.memberships.remove_all(&HubUser { hub: hub.clone(), user: user.clone() });
        if let Some(connections) = self.hubs.get_mut(hub) {
            connections.remove_user_from_all(user);
        }
    }

    /// Whether the user was added to the group, not only one of its connections.
    pub(crate) fn has_user_in(&self, hub: &HubName, user: &UserId, group: &GroupName) -> bool {
        let hub_user = HubUser { hub: hub.clone(), user: user.clone() };
        self.memberships.contains(&hub_user, group)
            || self.hubs.get(hub).is_some_and(|connections| connections.has_user_once(user, group))
    }

    fn remove_reason(&mut self, hub: &HubName, user: &UserId, group: &GroupName, reason: Reason) {
        if let Some(connections) = self.hubs.get_mut(hub) {
            connections.remove_reason(user, group, reason);
        }
    }
}
