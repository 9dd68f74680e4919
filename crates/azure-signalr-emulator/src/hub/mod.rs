//! Who is connected to which hub, under which user, and in which groups. Pure state: no I/O, no clock, no locks.
//!
//! A hub has no beginning or end of its own: it is there while it has members, and users are put into groups of hubs
//! nobody has ever been in. `L` is the link to a connection, whatever the owner of the state wants to find again.
//!
//! Memberships of users end by themselves, but only when somebody looks: whoever asks about groups calls
//! [`Hubs::tidy`] first.

mod ids;
mod members;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::hub_name::HubName;
use members::{Members, Reason};
use standing::{Person, Standing};

pub(crate) use ids::{ConnectionId, GroupName, UserId};
pub(crate) use members::{Connection, NotAdded};

/// Most groups a connection can be put into, and a user. The real service states no such limit.
const MOST_GROUPS: usize = 1_000;

/// A membership would be one too many.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyGroups;

/// All hubs that have members, and all memberships of users.
#[derive(Debug)]
pub(crate) struct Hubs<L> {
    hubs: HashMap<HubName, Members<L>>,
    standing: Standing,
}

impl<L> Default for Hubs<L> {
    fn default() -> Self {
        Self { hubs: HashMap::new(), standing: Standing::default() }
    }
}

/// Coming, going, and being there.
impl<L> Hubs<L> {
    /// Seats a connection, in the groups its user is a member of. Ids are random, so one that is seated already is the
    /// same connection again.
    pub(crate) fn join(
        &mut self,
        now: Instant,
        hub: &HubName,
        id: &ConnectionId,
        user: Option<&UserId>,
        link: L,
    ) {
        self.tidy(now);
        self.leave(hub, id);
        let members = self.hubs.entry(hub.clone()).or_default();
        members.join(id, user, link);
        if let Some(user) = user {
            let person = Person { hub: hub.clone(), user: user.clone() };
            self.standing.groups(&person).for_each(|group| members.follow_user(id, group));
        }
    }

    /// Unseats a connection, and forgets the hub it leaves empty. True if it was seated.
    pub(crate) fn leave(&mut self, hub: &HubName, id: &ConnectionId) -> bool {
        let Some(members) = self.hubs.get_mut(hub) else { return false };
        let was_seated = members.leave(id);
        if members.is_empty() {
            self.hubs.remove(hub);
        }
        was_seated
    }

    /// Ends the memberships of users that are over at `now`, and takes their connections out of the groups. Costs
    /// next to nothing when there are none.
    pub(crate) fn tidy(&mut self, now: Instant) {
        while let Some((Person { hub, user }, group)) = self.standing.next_ended(now) {
            self.forget(&hub, &user, &group, Reason::User);
        }
    }

    /// Every connection of every hub, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&HubName, Connection<'_, L>)> {
        self.hubs
            .iter()
            .flat_map(|(hub, members)| members.everyone().map(move |connection| (hub, connection)))
    }

    /// Everyone in the hub but the excluded.
    pub(crate) fn everyone<'a>(
        &'a self,
        hub: &HubName,
        excluded: &'a HashSet<ConnectionId>,
    ) -> impl Iterator<Item = Connection<'a, L>> {
        let everyone = self.hubs.get(hub).into_iter().flat_map(Members::everyone);
        everyone.filter(|connection| !excluded.contains(connection.id))
    }

    /// Every connection of the user but the excluded.
    pub(crate) fn user<'a>(
        &'a self,
        hub: &HubName,
        user: &'a UserId,
        excluded: &'a HashSet<ConnectionId>,
    ) -> impl Iterator<Item = Connection<'a, L>> {
        let connections = self.hubs.get(hub).into_iter().flat_map(|members| members.of_user(user));
        connections.filter(|connection| !excluded.contains(connection.id))
    }

    /// Everyone in the group but the excluded.
    pub(crate) fn group<'a>(
        &'a self,
        hub: &HubName,
        group: &'a GroupName,
        excluded: &'a HashSet<ConnectionId>,
    ) -> impl Iterator<Item = Connection<'a, L>> {
        self.group_after(hub, group, None).filter(|connection| !excluded.contains(connection.id))
    }

    /// The connections of a group whose ids come after one, which need not be there any more; in the order of their
    /// ids.
    pub(crate) fn group_after<'a>(
        &'a self,
        hub: &HubName,
        group: &'a GroupName,
        after: Option<&'a ConnectionId>,
    ) -> impl Iterator<Item = Connection<'a, L>> {
        self.hubs.get(hub).into_iter().flat_map(move |members| members.of_group(group, after))
    }

    /// The connection, if it is seated.
    pub(crate) fn connection(&self, hub: &HubName, id: &ConnectionId) -> Option<Connection<'_, L>> {
        self.hubs.get(hub)?.connection(id)
    }

    /// Whether anyone is in the group.
    pub(crate) fn has_group(&self, hub: &HubName, group: &GroupName) -> bool {
        self.hubs.get(hub).is_some_and(|members| members.has_group(group))
    }

    /// The groups a connection is in, in no order.
    pub(crate) fn groups_of(&self, hub: &HubName, id: &ConnectionId) -> impl Iterator<Item = &GroupName> {
        self.hubs.get(hub).into_iter().flat_map(|members| members.groups_of(id))
    }
}

/// Groups of connections: they last as long as the connection.
impl<L> Hubs<L> {
    /// Puts a connection into a group.
    pub(crate) fn add(
        &mut self,
        hub: &HubName,
        id: &ConnectionId,
        group: &GroupName,
    ) -> Result<(), NotAdded> {
        self.hubs.get_mut(hub).ok_or(NotAdded::Unknown)?.add(id, group)
    }

    /// Takes a connection out of a group. If it was there with its user, the user's other connections stay, and those
    /// to come will be there too.
    pub(crate) fn remove(&mut self, hub: &HubName, id: &ConnectionId, group: &GroupName) {
        if let Some(members) = self.hubs.get_mut(hub) {
            members.remove(id, group);
        }
    }

    /// Takes a connection out of all its groups, in the same way.
    pub(crate) fn remove_from_all(&mut self, hub: &HubName, id: &ConnectionId) {
        if let Some(members) = self.hubs.get_mut(hub) {
            members.remove_from_all(id);
        }
    }
}

/// Groups of users: they are there for connections to come, too.
impl<L> Hubs<L> {
    /// Puts a user into a group for a time, or without one for a year, and so that only the latest hundred of its
    /// groups without a time are kept. A time of nothing is for the connections of this moment, as long as they last.
    pub(crate) fn add_user(
        &mut self,
        now: Instant,
        hub: &HubName,
        user: &UserId,
        group: &GroupName,
        ttl: Option<Duration>,
    ) -> Result<(), TooManyGroups> {
        if ttl == Some(Duration::ZERO) {
            let Some(members) = self.hubs.get_mut(hub) else { return Ok(()) };
            return members.add_user_once(user, group);
        }
        let person = Person { hub: hub.clone(), user: user.clone() };
        let gave_way = self.standing.add(now, &person, group, ttl)?;
        if let Some(members) = self.hubs.get_mut(hub) {
            members.add_user(user, group);
        }
        if let Some(group) = gave_way {
            self.forget(hub, user, &group, Reason::User);
        }
        Ok(())
    }

    /// Takes a user out of a group. Its connections that were put there for themselves stay.
    pub(crate) fn remove_user(&mut self, hub: &HubName, user: &UserId, group: &GroupName) {
        let person = Person { hub: hub.clone(), user: user.clone() };
        self.standing.remove(&person, group);
        self.forget(hub, user, group, Reason::User);
        self.forget(hub, user, group, Reason::UserOnce);
    }

    /// Takes a user out of all groups, in the same way.
    pub(crate) fn remove_user_from_all(&mut self, hub: &HubName, user: &UserId) {
        self.standing.remove_all(&Person { hub: hub.clone(), user: user.clone() });
        if let Some(members) = self.hubs.get_mut(hub) {
            members.forget_everywhere(user);
        }
    }

    /// Whether the user was put into the group, and not just one of its connections.
    pub(crate) fn has_user_in(&self, hub: &HubName, user: &UserId, group: &GroupName) -> bool {
        let person = Person { hub: hub.clone(), user: user.clone() };
        self.standing.contains(&person, group)
            || self.hubs.get(hub).is_some_and(|members| members.has_user_once(user, group))
    }

    fn forget(&mut self, hub: &HubName, user: &UserId, group: &GroupName, reason: Reason) {
        if let Some(members) = self.hubs.get_mut(hub) {
            members.forget(user, group, reason);
        }
    }
}
