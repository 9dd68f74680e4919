//! Who is connected to which hub, and under which user. Pure state: no I/O, no clock, no locks.
//!
//! A hub has no beginning or end of its own: it is there while it has members. `L` is the link to a member,
//! whatever the owner of the state wants to find again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::hub_name::HubName;

/// The public id of a connection: what REST callers name. It opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(Arc<str>);

/// The id of a user, compared letter by letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UserId(Arc<str>);

impl ConnectionId {
    pub(crate) fn new(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UserId {
    /// Nobody in particular has an empty id, so that is `None`.
    pub(crate) fn new(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self(id.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// All hubs that have members.
#[derive(Debug)]
pub(crate) struct Hubs<L> {
    hubs: HashMap<HubName, Hub<L>>,
}

#[derive(Debug)]
struct Hub<L> {
    members: HashMap<ConnectionId, Member<L>>,
    users: HashMap<UserId, HashSet<ConnectionId>>,
}

#[derive(Debug)]
struct Member<L> {
    user: Option<UserId>,
    link: L,
}

impl<L> Default for Hubs<L> {
    fn default() -> Self {
        Self { hubs: HashMap::new() }
    }
}

impl<L> Default for Hub<L> {
    fn default() -> Self {
        Self { members: HashMap::new(), users: HashMap::new() }
    }
}

impl<L> Hubs<L> {
    /// Seats a connection. Ids are random, so one that is seated already is the same connection again.
    pub(crate) fn join(&mut self, hub: &HubName, id: &ConnectionId, user: Option<&UserId>, link: L) {
        self.leave(hub, id);
        let hub = self.hubs.entry(hub.clone()).or_default();
        hub.members.insert(id.clone(), Member { user: user.cloned(), link });
        if let Some(user) = user {
            hub.users.entry(user.clone()).or_default().insert(id.clone());
        }
    }

    /// Unseats a connection, and forgets the user and the hub it leaves empty. True if it was seated.
    pub(crate) fn leave(&mut self, name: &HubName, id: &ConnectionId) -> bool {
        let Some(hub) = self.hubs.get_mut(name) else { return false };
        let Some(member) = hub.members.remove(id) else { return false };
        if let Some(user) = member.user
            && let Some(connections) = hub.users.get_mut(&user)
        {
            connections.remove(id);
            if connections.is_empty() {
                hub.users.remove(&user);
            }
        }
        if hub.members.is_empty() {
            self.hubs.remove(name);
        }
        true
    }

    /// Everyone in the hub but the excluded.
    pub(crate) fn everyone<'a>(
        &'a self,
        hub: &HubName,
        excluded: &'a HashSet<ConnectionId>,
    ) -> impl Iterator<Item = &'a L> {
        let members = self.hubs.get(hub).into_iter().flat_map(|hub| &hub.members);
        members.filter(|(id, _)| !excluded.contains(id)).map(|(_, member)| &member.link)
    }

    /// Every connection of the user.
    pub(crate) fn user<'a>(&'a self, hub: &HubName, user: &UserId) -> impl Iterator<Item = &'a L> {
        let hub = self.hubs.get(hub);
        let connections = hub.and_then(|hub| hub.users.get(user)).into_iter().flatten();
        connections.filter_map(move |id| Some(&hub?.members.get(id)?.link))
    }

    /// The connection, if it is seated.
    pub(crate) fn connection(&self, hub: &HubName, id: &ConnectionId) -> Option<&L> {
        Some(&self.hubs.get(hub)?.members.get(id)?.link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few enough names that steps meet.
    const NAMES: [&str; 3] = ["a", "b", "c"];

    #[derive(Debug, Clone)]
    enum Step {
        Join { hub: usize, id: usize, user: Option<usize> },
        Leave { hub: usize, id: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = 0..NAMES.len();
        prop_oneof![
            (name.clone(), 0..6usize, prop::option::of(name.clone()))
                .prop_map(|(hub, id, user)| Step::Join { hub, id, user }),
            (name, 0..6usize).prop_map(|(hub, id)| Step::Leave { hub, id }),
        ]
    }

    fn hub(index: usize) -> HubName {
        HubName::of_client(NAMES[index]).unwrap()
    }

    fn id(index: usize) -> ConnectionId {
        ConnectionId::new(&index.to_string())
    }

    fn user(index: usize) -> UserId {
        UserId::new(NAMES[index]).unwrap()
    }

    /// Hub, connection, user.
    type Seat = (usize, usize, Option<usize>);

    /// The same, told as plainly as possible: a list of who sits where.
    fn replay(steps: &[Step]) -> (Hubs<usize>, Vec<Seat>) {
        let (mut hubs, mut plain) = (Hubs::default(), Vec::new());
        for step in steps {
            match *step {
                Step::Join { hub: h, id: i, user: u } => {
                    hubs.join(&hub(h), &id(i), u.map(user).as_ref(), i);
                    plain.retain(|&(hub, id, _)| (hub, id) != (h, i));
                    plain.push((h, i, u));
                }
                Step::Leave { hub: h, id: i } => {
                    let seated = plain.iter().any(|&(hub, id, _)| (hub, id) == (h, i));
                    assert_eq!(hubs.leave(&hub(h), &id(i)), seated);
                    plain.retain(|&(hub, id, _)| (hub, id) != (h, i));
                }
            }
        }
        (hubs, plain)
    }

    fn sorted<'a>(links: impl Iterator<Item = &'a usize>) -> Vec<usize> {
        let mut links: Vec<_> = links.copied().collect();
        links.sort_unstable();
        links
    }

    proptest! {
        #[test]
        fn every_audience_is_exactly_who_joined_and_did_not_leave(
            steps in prop::collection::vec(step(), 0..60),
            excluded in prop::collection::hash_set(0..6usize, 0..4),
        ) {
            let (hubs, plain) = replay(&steps);
            let shut_out = excluded.iter().copied().map(id).collect();
            for h in 0..NAMES.len() {
                let here = plain.iter().filter(|seat| seat.0 == h);
                let expected = sorted(here.clone().map(|seat| &seat.1).filter(|id| !excluded.contains(id)));
                prop_assert_eq!(sorted(hubs.everyone(&hub(h), &shut_out)), expected);
                for u in 0..NAMES.len() {
                    let expected = sorted(here.clone().filter(|seat| seat.2 == Some(u)).map(|seat| &seat.1));
                    prop_assert_eq!(sorted(hubs.user(&hub(h), &user(u))), expected);
                }
                for i in 0..6 {
                    let expected = here.clone().any(|seat| seat.1 == i).then_some(i);
                    prop_assert_eq!(hubs.connection(&hub(h), &id(i)).copied(), expected);
                }
            }
        }

        #[test]
        fn nothing_is_kept_once_all_have_left(steps in prop::collection::vec(step(), 0..60)) {
            let (mut hubs, plain) = replay(&steps);
            for (h, i, _) in plain {
                hubs.leave(&hub(h), &id(i));
            }
            prop_assert!(hubs.hubs.is_empty());
        }
    }
}
