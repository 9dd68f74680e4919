//! The connections of one hub: their users, and the groups they are in.
//!
//! A connection can be in a group for several reasons, and leaves it with the last one. Removing a user from a group does not
//! remove a connection that was added to the group itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use super::ids::{ConnectionId, GroupName, UserId};

/// Maximum number of groups of a connection, and of a user. The real service states no such limit.
pub(super) const MAX_GROUPS: usize = 1_000;

/// The connection or the user is in the maximum number of groups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyGroups;

/// The connections of one hub. `H` is the handle of a connection.
#[derive(Debug)]
pub(super) struct HubConnections<H> {
    connections: HashMap<ConnectionId, Entry<H>>,
    users: HashMap<UserId, HashSet<ConnectionId>>,
    groups: Groups,
}

#[derive(Debug)]
struct Entry<H> {
    user: Option<UserId>,
    handle: H,
    /// Each with the set of reasons, as bits.
    groups: HashMap<GroupName, u8>,
}

/// The connections of each group that has any. Sorted, since callers list them page by page.
#[derive(Debug, Default)]
struct Groups(HashMap<GroupName, BTreeSet<ConnectionId>>);

/// Why a connection is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The connection was added.
    Direct = 1,
    /// The user was added with `ttl=0`: its connections of that moment only.
    UserOnce = 2,
    /// The user is a member.
    User = 4,
}

/// One connection of a hub.
#[derive(Debug)]
pub(crate) struct Connection<'a, H> {
    pub(crate) id: &'a ConnectionId,
    pub(crate) user: Option<&'a UserId>,
    pub(crate) handle: &'a H,
}

/// Why a connection was not added to a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AddToGroupError {
    UnknownConnection,
    TooManyGroups,
}

impl<H> Default for HubConnections<H> {
    fn default() -> Self {
        Self { connections: HashMap::new(), users: HashMap::new(), groups: Groups::default() }
    }
}

impl<H> HubConnections<H> {
    pub(super) fn join(&mut self, id: &ConnectionId, user: Option<&UserId>, handle: H) {
        self.connections.insert(id.clone(), Entry { user: user.cloned(), handle, groups: HashMap::new() });
        if let Some(user) = user {
            self.users.entry(user.clone()).or_default().insert(id.clone());
        }
    }

    /// Removes a connection. False if it did not exist.
    pub(super) fn leave(&mut self, id: &ConnectionId) -> bool {
        let Some(entry) = self.connections.remove(id) else { return false };
        for group in entry.groups.keys() {
            self.groups.remove(group, id);
        }
        if let Some(user) = entry.user
            && let Some(connections) = self.users.get_mut(&user)
        {
            connections.remove(id);
            if connections.is_empty() {
                self.users.remove(&user);
            }
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(super) fn connection<'a>(&'a self, id: &ConnectionId) -> Option<Connection<'a, H>> {
        self.connections.get_key_value(id).map(|(id, entry)| entry.connection(id))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Connection<'_, H>> {
        self.connections.iter().map(|(id, entry)| entry.connection(id))
    }

    pub(super) fn of_user(&self, user: &UserId) -> impl Iterator<Item = Connection<'_, H>> {
        let connections = self.users.get(user).into_iter().flatten();
        connections.filter_map(|id| self.connection(id))
    }

    /// The connections of a group after `after`, in the order of their ids.
    pub(super) fn of_group(
        &self,
        group: &GroupName,
        after: Option<&ConnectionId>,
    ) -> impl Iterator<Item = Connection<'_, H>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let connections = self.groups.0.get(group).into_iter();
        connections
            .flat_map(move |ids| ids.range::<ConnectionId, _>((from, Bound::Unbounded)))
            .filter_map(|id| self.connection(id))
    }

    pub(super) fn has_group(&self, group: &GroupName) -> bool {
        self.groups.0.contains_key(group)
    }

    pub(super) fn groups_of(&self, id: &ConnectionId) -> impl Iterator<Item = &GroupName> {
        self.connections.get(id).into_iter().flat_map(|entry| entry.groups.keys())
    }

    /// Adds a connection to a group.
    pub(super) fn add(&mut self, id: &ConnectionId, group: &GroupName) -> Result<(), AddToGroupError> {
        let entry = self.connections.get_mut(id).ok_or(AddToGroupError::UnknownConnection)?;
        if !entry.has_room_for(group) {
            return Err(AddToGroupError::TooManyGroups);
        }
        entry.add(id, group, Reason::Direct, &mut self.groups);
        Ok(())
    }

    /// Removes a connection from a group, for all reasons.
    pub(super) fn remove(&mut self, id: &ConnectionId, group: &GroupName) {
        if let Some(entry) = self.connections.get_mut(id)
            && entry.groups.remove(group).is_some()
        {
            self.groups.remove(group, id);
        }
    }

    /// Removes a connection from all groups.
    pub(super) fn remove_from_all(&mut self, id: &ConnectionId) {
        let Some(entry) = self.connections.get_mut(id) else { return };
        for group in std::mem::take(&mut entry.groups).keys() {
            self.groups.remove(group, id);
        }
    }

    /// Adds a connection to a group of its user. The caller limits the groups of a user.
    pub(super) fn add_for_user(&mut self, id: &ConnectionId, group: &GroupName) {
        if let Some(entry) = self.connections.get_mut(id) {
            entry.add(id, group, Reason::User, &mut self.groups);
        }
    }

    /// Adds all connections of a user to a group.
    pub(super) fn add_user(&mut self, user: &UserId, group: &GroupName) {
        for id in self.users.get(user).into_iter().flatten() {
            if let Some(entry) = self.connections.get_mut(id) {
                entry.add(id, group, Reason::User, &mut self.groups);
            }
        }
    }

    /// Adds the current connections of a user to a group, except those that are in too many groups.
    pub(super) fn add_user_once(&mut self, user: &UserId, group: &GroupName) -> Result<(), TooManyGroups> {
        let mut outcome = Ok(());
        for id in self.users.get(user).into_iter().flatten() {
            match self.connections.get_mut(id) {
                Some(entry) if entry.has_room_for(group) => {
                    entry.add(id, group, Reason::UserOnce, &mut self.groups);
                }
                _ => outcome = Err(TooManyGroups),
            }
        }
        outcome
    }

    /// Removes a reason from all connections of a user; those without another reason leave the group.
    pub(super) fn remove_reason(&mut self, user: &UserId, group: &GroupName, reason: Reason) {
        for id in self.users.get(user).into_iter().flatten() {
            if let Some(entry) = self.connections.get_mut(id) {
                entry.remove_reason(id, group, reason, &mut self.groups);
            }
        }
    }

    /// Removes both reasons of a user from its connections, in all groups.
    pub(super) fn remove_user_from_all(&mut self, user: &UserId) {
        for id in self.users.get(user).into_iter().flatten() {
            let Some(entry) = self.connections.get_mut(id) else { continue };
            let groups: Vec<_> = entry.groups.keys().cloned().collect();
            for group in groups {
                entry.remove_reason(id, &group, Reason::User, &mut self.groups);
                entry.remove_reason(id, &group, Reason::UserOnce, &mut self.groups);
            }
        }
    }

    /// Whether a connection of the user is in the group because the user was added with `ttl=0`.
    pub(super) fn has_user_once(&self, user: &UserId, group: &GroupName) -> bool {
        let mut connections = self.users.get(user).into_iter().flatten();
        connections.any(|id| {
            let reasons = self.connections.get(id).and_then(|entry| entry.groups.get(group));
            reasons.is_some_and(|reasons| reasons & Reason::UserOnce as u8 != 0)
        })
    }
}

impl<H> Entry<H> {
    fn connection<'a>(&'a self, id: &'a ConnectionId) -> Connection<'a, H> {
        Connection { id, user: self.user.as_ref(), handle: &self.handle }
    }

    fn has_room_for(&self, group: &GroupName) -> bool {
        self.groups.len() < MAX_GROUPS || self.groups.contains_key(group)
    }

    fn add(&mut self, id: &ConnectionId, group: &GroupName, reason: Reason, groups: &mut Groups) {
        *self.groups.entry(group.clone()).or_default() |= reason as u8;
        groups.0.entry(group.clone()).or_default().insert(id.clone());
    }

    fn remove_reason(&mut self, id: &ConnectionId, group: &GroupName, reason: Reason, groups: &mut Groups) {
        let Some(reasons) = self.groups.get_mut(group) else { return };
        *reasons &= !(reason as u8);
        if *reasons == 0 {
            self.groups.remove(group);
            groups.remove(group, id);
        }
    }
}

impl Groups {
    fn remove(&mut self, group: &GroupName, id: &ConnectionId) {
        let Some(members) = self.0.get_mut(group) else { return };
        members.remove(id);
        if members.is_empty() {
            self.0.remove(group);
        }
    }
}
