//! The connections of one hub: whose they are, and in which groups they are right now.
//!
//! A connection can be in a group for several reasons, and leaves when the last of them falls away. Who takes a user
//! out of a group does not take along a connection that was put there for itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use super::ids::{ConnectionId, GroupName, UserId};
use super::{MOST_GROUPS, TooManyGroups};

/// Everyone who is connected to one hub.
#[derive(Debug)]
pub(super) struct Members<L> {
    seats: HashMap<ConnectionId, Seat<L>>,
    users: HashMap<UserId, HashSet<ConnectionId>>,
    groups: Groups,
}

#[derive(Debug)]
struct Seat<L> {
    user: Option<UserId>,
    link: L,
    groups: HashMap<GroupName, Reasons>,
}

/// Who is in a group; there are none without members. Sorted, since callers read them page by page.
#[derive(Debug, Default)]
struct Groups(HashMap<GroupName, BTreeSet<ConnectionId>>);

/// Why a connection is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was put there itself.
    Itself = 1,
    /// Its user was, with all connections of that moment, and with no other.
    UserOnce = 2,
    /// Its user is a member.
    User = 4,
}

/// Any number of reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reasons(u8);

/// One connection, for who wants to find or describe it.
#[derive(Debug)]
pub(crate) struct Connection<'a, L> {
    pub(crate) id: &'a ConnectionId,
    pub(crate) user: Option<&'a UserId>,
    pub(crate) link: &'a L,
}

/// Why a connection was not put into a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// It is not there.
    Unknown,
    /// It is in as many groups as it can be.
    TooManyGroups,
}

impl<L> Default for Members<L> {
    fn default() -> Self {
        Self { seats: HashMap::new(), users: HashMap::new(), groups: Groups::default() }
    }
}

impl<L> Members<L> {
    pub(super) fn join(&mut self, id: &ConnectionId, user: Option<&UserId>, link: L) {
        self.seats.insert(id.clone(), Seat { user: user.cloned(), link, groups: HashMap::new() });
        if let Some(user) = user {
            self.users.entry(user.clone()).or_default().insert(id.clone());
        }
    }

    /// True if it was there. Nothing about it is kept.
    pub(super) fn leave(&mut self, id: &ConnectionId) -> bool {
        let Some(seat) = self.seats.remove(id) else { return false };
        for group in seat.groups.keys() {
            self.groups.remove(group, id);
        }
        if let Some(user) = seat.user
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
        self.seats.is_empty()
    }

    pub(super) fn connection<'a>(&'a self, id: &ConnectionId) -> Option<Connection<'a, L>> {
        self.seats.get_key_value(id).map(|(id, seat)| seat.show(id))
    }

    pub(super) fn everyone(&self) -> impl Iterator<Item = Connection<'_, L>> {
        self.seats.iter().map(|(id, seat)| seat.show(id))
    }

    pub(super) fn of_user(&self, user: &UserId) -> impl Iterator<Item = Connection<'_, L>> {
        let connections = self.users.get(user).into_iter().flatten();
        connections.filter_map(|id| self.connection(id))
    }

    /// In the order of their ids.
    pub(super) fn of_group(
        &self,
        group: &GroupName,
        after: Option<&ConnectionId>,
    ) -> impl Iterator<Item = Connection<'_, L>> {
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
        self.seats.get(id).into_iter().flat_map(|seat| seat.groups.keys())
    }

    /// Puts a connection into a group for itself.
    pub(super) fn add(&mut self, id: &ConnectionId, group: &GroupName) -> Result<(), NotAdded> {
        let seat = self.seats.get_mut(id).ok_or(NotAdded::Unknown)?;
        if !seat.has_room_for(group) {
            return Err(NotAdded::TooManyGroups);
        }
        seat.enter(id, group, Reason::Itself, &mut self.groups);
        Ok(())
    }

    /// Takes a connection out of a group, whatever the reasons it was there for.
    pub(super) fn remove(&mut self, id: &ConnectionId, group: &GroupName) {
        if let Some(seat) = self.seats.get_mut(id)
            && seat.groups.remove(group).is_some()
        {
            self.groups.remove(group, id);
        }
    }

    /// Takes a connection out of all groups.
    pub(super) fn remove_from_all(&mut self, id: &ConnectionId) {
        let Some(seat) = self.seats.get_mut(id) else { return };
        for group in std::mem::take(&mut seat.groups).keys() {
            self.groups.remove(group, id);
        }
    }

    /// Puts a connection into a group because its user is a member. How many groups a user has is limited elsewhere.
    pub(super) fn follow_user(&mut self, id: &ConnectionId, group: &GroupName) {
        if let Some(seat) = self.seats.get_mut(id) {
            seat.enter(id, group, Reason::User, &mut self.groups);
        }
    }

    /// Puts all connections of a user into a group because the user is a member.
    pub(super) fn add_user(&mut self, user: &UserId, group: &GroupName) {
        for id in self.users.get(user).into_iter().flatten() {
            if let Some(seat) = self.seats.get_mut(id) {
                seat.enter(id, group, Reason::User, &mut self.groups);
            }
        }
    }

    /// Puts the connections a user has now into a group, but those that are in too many.
    pub(super) fn add_user_once(&mut self, user: &UserId, group: &GroupName) -> Result<(), TooManyGroups> {
        let mut outcome = Ok(());
        for id in self.users.get(user).into_iter().flatten() {
            match self.seats.get_mut(id) {
                Some(seat) if seat.has_room_for(group) => {
                    seat.enter(id, group, Reason::UserOnce, &mut self.groups);
                }
                _ => outcome = Err(TooManyGroups),
            }
        }
        outcome
    }

    /// Takes a reason away from all connections of a user; those that have no other leave the group.
    pub(super) fn forget(&mut self, user: &UserId, group: &GroupName, reason: Reason) {
        for id in self.users.get(user).into_iter().flatten() {
            if let Some(seat) = self.seats.get_mut(id) {
                seat.forget(id, group, reason, &mut self.groups);
            }
        }
    }

    /// Takes both reasons that come from a user away from all its connections, in all groups.
    pub(super) fn forget_everywhere(&mut self, user: &UserId) {
        for id in self.users.get(user).into_iter().flatten() {
            let Some(seat) = self.seats.get_mut(id) else { continue };
            let groups: Vec<_> = seat.groups.keys().cloned().collect();
            for group in groups {
                seat.forget(id, &group, Reason::User, &mut self.groups);
                seat.forget(id, &group, Reason::UserOnce, &mut self.groups);
            }
        }
    }

    /// Whether any connection of the user was put into the group with its user, but for that moment only.
    pub(super) fn has_user_once(&self, user: &UserId, group: &GroupName) -> bool {
        let mut connections = self.users.get(user).into_iter().flatten();
        connections.any(|id| {
            let reasons = self.seats.get(id).and_then(|seat| seat.groups.get(group));
            reasons.is_some_and(|reasons| reasons.include(Reason::UserOnce))
        })
    }
}

impl<L> Seat<L> {
    fn show<'a>(&'a self, id: &'a ConnectionId) -> Connection<'a, L> {
        Connection { id, user: self.user.as_ref(), link: &self.link }
    }

    fn has_room_for(&self, group: &GroupName) -> bool {
        self.groups.len() < MOST_GROUPS || self.groups.contains_key(group)
    }

    fn enter(&mut self, id: &ConnectionId, group: &GroupName, reason: Reason, groups: &mut Groups) {
        self.groups.entry(group.clone()).or_default().add(reason);
        groups.0.entry(group.clone()).or_default().insert(id.clone());
    }

    fn forget(&mut self, id: &ConnectionId, group: &GroupName, reason: Reason, groups: &mut Groups) {
        let Some(reasons) = self.groups.get_mut(group) else { return };
        reasons.remove(reason);
        if *reasons == Reasons::default() {
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

impl Reasons {
    fn include(self, reason: Reason) -> bool {
        self.0 & reason as u8 != 0
    }

    fn add(&mut self, reason: Reason) {
        self.0 |= reason as u8;
    }

    fn remove(&mut self, reason: Reason) {
        self.0 &= !(reason as u8);
    }
}
