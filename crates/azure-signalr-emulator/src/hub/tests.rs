//! Compares the state of hubs with a simple model that searches lists.

use std::collections::HashSet;

use proptest::prelude::*;

use super::hub_connections::MAX_GROUPS;
use super::*;

/// Few names, so that generated steps affect the same things.
const NAMES: [&str; 3] = ["a", "b", "c"];
const CONNECTIONS: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

fn hub(index: usize) -> HubName {
    HubName::of_client(NAMES[index]).unwrap()
}

fn id(index: usize) -> ConnectionId {
    ConnectionId::new(&index.to_string())
}

fn user(index: usize) -> UserId {
    UserId::new(NAMES[index]).unwrap()
}

fn group(index: usize) -> GroupName {
    GroupName::new(NAMES[index]).unwrap()
}

fn chat() -> HubName {
    hub(0)
}

fn handles<'a>(connections: impl Iterator<Item = Connection<'a, usize>>) -> Vec<usize> {
    connections.map(|connection| *connection.handle).collect()
}

fn in_group(hubs: &Hubs<usize>, number: usize) -> Vec<usize> {
    handles(hubs.group(&chat(), &group(number), None))
}

/// Connections 0 and 1 of user 0, and the anonymous connection 2.
fn three() -> (Hubs<usize>, Instant) {
    let (mut hubs, now) = (Hubs::default(), Instant::now());
    for (number, owner) in [(0, Some(user(0))), (1, Some(user(0))), (2, None)] {
        hubs.join(now, &chat(), &id(number), owner.as_ref(), number);
    }
    (hubs, now)
}

#[test]
fn an_unknown_connection_cannot_be_added_to_a_group() {
    let (mut hubs, _) = three();
    assert_eq!(hubs.add(&chat(), &id(9), &group(0)), Err(AddToGroupError::UnknownConnection));
    assert_eq!(hubs.add(&hub(1), &id(0), &group(0)), Err(AddToGroupError::UnknownConnection));
    assert!(!hubs.has_group(&chat(), &group(0)));
    assert_eq!(hubs.add(&chat(), &id(0), &group(0)), Ok(()));
    assert!(hubs.has_group(&chat(), &group(0)));
}

#[test]
fn a_connection_has_a_maximum_number_of_groups() {
    let (mut hubs, now) = three();
    let numbered = |number: usize| GroupName::new(&number.to_string()).unwrap();
    for number in 0..MAX_GROUPS {
        hubs.add(&chat(), &id(0), &numbered(number)).unwrap();
    }
    assert_eq!(hubs.add(&chat(), &id(0), &group(0)), Err(AddToGroupError::TooManyGroups));
    assert_eq!(hubs.add(&chat(), &id(0), &numbered(0)), Ok(()));
    assert_eq!(hubs.add_user(now, &chat(), &user(0), &group(0), Some(Duration::ZERO)), Err(TooManyGroups));
    assert_eq!(in_group(&hubs, 0), [1], "the other connection of the user");
}

#[test]
fn a_user_can_be_in_a_group_of_a_hub_without_connections() {
    let (mut hubs, now) = (Hubs::default(), Instant::now());
    hubs.add_user(now, &chat(), &user(0), &group(0), None).unwrap();
    assert!(hubs.has_user_in(&chat(), &user(0), &group(0)) && !hubs.has_group(&chat(), &group(0)));
    hubs.join(now, &chat(), &id(0), Some(&user(0)), 0);
    assert_eq!(in_group(&hubs, 0), [0]);
}

#[test]
fn a_membership_of_a_user_outlives_its_connections() {
    let (mut hubs, now) = three();
    hubs.add(&chat(), &id(0), &group(0)).unwrap();
    hubs.add_user(now, &chat(), &user(0), &group(1), None).unwrap();
    hubs.leave(&chat(), &id(0));
    hubs.leave(&chat(), &id(1));
    hubs.join(now, &chat(), &id(0), Some(&user(0)), 0);
    assert!(in_group(&hubs, 0).is_empty());
    assert_eq!(in_group(&hubs, 1), [0]);
}

#[test]
fn connections_added_themselves_stay_when_the_membership_of_their_user_expires() {
    let (mut hubs, now) = three();
    hubs.add(&chat(), &id(1), &group(0)).unwrap();
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(2 * SECOND)).unwrap();
    hubs.remove_expired(now + SECOND);
    assert_eq!(in_group(&hubs, 0), [0, 1]);
    hubs.remove_expired(now + 2 * SECOND);
    assert_eq!(in_group(&hubs, 0), [1]);
    assert!(!hubs.has_user_in(&chat(), &user(0), &group(0)));
}

#[test]
fn a_connection_that_joins_after_the_membership_expired_is_not_in_the_group() {
    let (mut hubs, now) = (Hubs::default(), Instant::now());
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(SECOND)).unwrap();
    hubs.join(now + SECOND, &chat(), &id(0), Some(&user(0)), 0);
    assert!(in_group(&hubs, 0).is_empty());
}

#[test]
fn a_ttl_of_zero_adds_the_current_connections_and_ends_no_membership() {
    let (mut hubs, now) = three();
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(SECOND)).unwrap();
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(Duration::ZERO)).unwrap();
    hubs.join(now, &chat(), &id(3), Some(&user(0)), 3);
    assert_eq!(in_group(&hubs, 0), [0, 1, 3]);
    hubs.remove_expired(now + SECOND);
    assert_eq!(in_group(&hubs, 0), [0, 1]);
    assert!(hubs.has_user_in(&chat(), &user(0), &group(0)));
    hubs.remove_user(&chat(), &user(0), &group(0));
    assert!(in_group(&hubs, 0).is_empty());
}

#[test]
fn removing_a_user_leaves_connections_that_were_added_themselves() {
    let (mut hubs, now) = three();
    hubs.add(&chat(), &id(0), &group(0)).unwrap();
    for number in 0..2 {
        hubs.add_user(now, &chat(), &user(0), &group(number), None).unwrap();
    }
    hubs.remove_user_from_all(&chat(), &user(0));
    assert_eq!(in_group(&hubs, 0), [0]);
    assert!(in_group(&hubs, 1).is_empty());
}

#[test]
fn removing_a_connection_leaves_the_membership_of_its_user() {
    let (mut hubs, now) = three();
    hubs.add_user(now, &chat(), &user(0), &group(0), None).unwrap();
    hubs.remove(&chat(), &id(0), &group(0));
    assert_eq!(in_group(&hubs, 0), [1]);
    hubs.remove_from_all(&chat(), &id(1));
    assert!(in_group(&hubs, 0).is_empty());
    assert!(hubs.has_user_in(&chat(), &user(0), &group(0)));
}

#[test]
fn the_connections_of_a_replaced_membership_leave_its_group() {
    let (mut hubs, now) = three();
    hubs.add_user(now, &chat(), &user(0), &group(0), None).unwrap();
    for number in 0..100 {
        let other = GroupName::new(&number.to_string()).unwrap();
        hubs.add_user(now, &chat(), &user(0), &other, None).unwrap();
    }
    assert!(in_group(&hubs, 0).is_empty());
    assert!(!hubs.has_user_in(&chat(), &user(0), &group(0)));
}

#[test]
fn a_group_is_listed_in_the_order_of_ids_also_after_an_id_that_has_left() {
    let (mut hubs, _) = three();
    for number in [2, 0, 1] {
        hubs.add(&chat(), &id(number), &group(0)).unwrap();
    }
    hubs.leave(&chat(), &id(1));
    assert_eq!(handles(hubs.group(&chat(), &group(0), None)), [0, 2]);
    assert_eq!(handles(hubs.group(&chat(), &group(0), Some(&id(1)))), [2]);
    assert!(handles(hubs.group(&chat(), &group(0), Some(&id(2)))).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Join { hub: usize, id: usize, user: Option<usize> },
    Leave { hub: usize, id: usize },
    Add { hub: usize, id: usize, group: usize },
    Remove { hub: usize, id: usize, group: usize },
    RemoveFromAll { hub: usize, id: usize },
    AddUser { hub: usize, user: usize, group: usize, ttl: Option<u32> },
    RemoveUser { hub: usize, user: usize, group: usize },
    RemoveUserFromAll { hub: usize, user: usize },
    Wait { seconds: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    // Mostly in one hub, so that steps affect the same connections.
    let hub = || prop_oneof![4 => Just(0), 1 => Just(1)];
    let connection = || (hub(), 0..CONNECTIONS);
    prop_oneof![
        4 => (connection(), prop::option::of(name()))
            .prop_map(|((hub, id), user)| Step::Join { hub, id, user }),
        1 => connection().prop_map(|(hub, id)| Step::Leave { hub, id }),
        2 => (connection(), name()).prop_map(|((hub, id), group)| Step::Add { hub, id, group }),
        1 => (connection(), name()).prop_map(|((hub, id), group)| Step::Remove { hub, id, group }),
        1 => connection().prop_map(|(hub, id)| Step::RemoveFromAll { hub, id }),
        4 => (hub(), name(), name(), prop::option::of(0..5u32))
            .prop_map(|(hub, user, group, ttl)| Step::AddUser { hub, user, group, ttl }),
        1 => (hub(), name(), name()).prop_map(|(hub, user, group)| Step::RemoveUser { hub, user, group }),
        1 => (hub(), name()).prop_map(|(hub, user)| Step::RemoveUserFromAll { hub, user }),
        2 => (0..4u32).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// The same state in its simplest form.
#[derive(Default)]
struct Model {
    /// Hub, connection, user.
    connections: Vec<(usize, usize, Option<usize>)>,
    /// Hub, connection, group, and whether the connection was added itself or with its user and `ttl=0`.
    direct: Vec<(usize, usize, usize, bool)>,
    /// Hub, user, group, and the end.
    users: Vec<(usize, usize, usize, u32)>,
    /// Hub, connection, group: connections that were removed from a group of their user.
    removed: Vec<(usize, usize, usize)>,
    now: u32,
}

impl Model {
    fn owner(&self, hub: usize, id: usize) -> Option<usize> {
        self.connections.iter().find(|entry| (entry.0, entry.1) == (hub, id)).and_then(|entry| entry.2)
    }

    fn of_user(&self, hub: usize, user: usize) -> Vec<usize> {
        let entries = self.connections.iter().filter(|entry| (entry.0, entry.2) == (hub, Some(user)));
        sorted(entries.map(|entry| entry.1))
    }

    fn has_user(&self, hub: usize, user: usize, group: usize) -> bool {
        self.users.iter().any(|&(h, u, g, end)| (h, u, g) == (hub, user, group) && self.now < end)
    }

    fn is_in(&self, hub: usize, id: usize, group: usize) -> bool {
        let direct = self.direct.iter().any(|&(h, i, g, _)| (h, i, g) == (hub, id, group));
        let with_user = self.owner(hub, id).is_some_and(|user| self.has_user(hub, user, group));
        direct || with_user && !self.removed.contains(&(hub, id, group))
    }

    fn group(&self, hub: usize, group: usize) -> Vec<usize> {
        let here = self.connections.iter().filter(|entry| entry.0 == hub).map(|entry| entry.1);
        sorted(here.filter(|&id| self.is_in(hub, id, group)))
    }

    fn was_added(&self, hub: usize, user: usize, group: usize) -> bool {
        let once = |id| self.direct.contains(&(hub, id, group, false));
        self.has_user(hub, user, group) || self.of_user(hub, user).into_iter().any(once)
    }

    fn leave(&mut self, hub: usize, id: usize) {
        self.connections.retain(|entry| (entry.0, entry.1) != (hub, id));
        self.direct.retain(|entry| (entry.0, entry.1) != (hub, id));
        self.removed.retain(|entry| (entry.0, entry.1) != (hub, id));
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Join { hub, id, user } => {
                self.leave(hub, id);
                self.connections.push((hub, id, user));
            }
            Step::Leave { hub, id } => self.leave(hub, id),
            Step::Add { hub, id, group } => {
                if self.connections.iter().any(|entry| (entry.0, entry.1) == (hub, id)) {
                    self.direct.push((hub, id, group, true));
                }
            }
            Step::Remove { hub, id, group } => {
                self.direct.retain(|entry| (entry.0, entry.1, entry.2) != (hub, id, group));
                self.removed.push((hub, id, group));
            }
            Step::RemoveFromAll { hub, id } => {
                self.direct.retain(|entry| (entry.0, entry.1) != (hub, id));
                self.removed.extend((0..NAMES.len()).map(|group| (hub, id, group)));
            }
            Step::AddUser { hub, user, group, ttl: Some(0) } => {
                let now = self.of_user(hub, user);
                self.direct.extend(now.into_iter().map(|id| (hub, id, group, false)));
            }
            Step::AddUser { hub, user, group, ttl } => {
                let of_user = self.of_user(hub, user);
                self.removed.retain(|entry| (entry.0, entry.2) != (hub, group) || !of_user.contains(&entry.1));
                self.users.retain(|added| (added.0, added.1, added.2) != (hub, user, group));
                self.users.push((hub, user, group, ttl.map_or(u32::MAX, |ttl| self.now + ttl)));
            }
            Step::RemoveUser { hub, user, group } => {
                let of_user = self.of_user(hub, user);
                self.direct.retain(|&(h, i, g, direct)| direct || (h, g) != (hub, group) || !of_user.contains(&i));
                self.users.retain(|added| (added.0, added.1, added.2) != (hub, user, group));
            }
            Step::RemoveUserFromAll { hub, user } => {
                let of_user = self.of_user(hub, user);
                self.direct.retain(|&(h, i, _, direct)| direct || h != hub || !of_user.contains(&i));
                self.users.retain(|added| (added.0, added.1) != (hub, user));
            }
            Step::Wait { seconds } => self.now += seconds,
        }
        // A removal applies to the current membership of the user, not to later ones.
        let removed = std::mem::take(&mut self.removed);
        let is_member =
            |&(h, i, g): &(usize, usize, usize)| self.owner(h, i).is_some_and(|user| self.has_user(h, user, g));
        self.removed = removed.into_iter().filter(is_member).collect();
    }
}

fn apply(hubs: &mut Hubs<usize>, now: Instant, step: &Step) {
    match *step {
        Step::Join { hub: h, id: i, user: u } => hubs.join(now, &hub(h), &id(i), u.map(user).as_ref(), i),
        Step::Leave { hub: h, id: i } => {
            hubs.leave(&hub(h), &id(i));
        }
        Step::Add { hub: h, id: i, group: g } => {
            let exists = hubs.connection(&hub(h), &id(i)).is_some();
            assert_eq!(hubs.add(&hub(h), &id(i), &group(g)).is_ok(), exists);
        }
        Step::Remove { hub: h, id: i, group: g } => hubs.remove(&hub(h), &id(i), &group(g)),
        Step::RemoveFromAll { hub: h, id: i } => hubs.remove_from_all(&hub(h), &id(i)),
        Step::AddUser { hub: h, user: u, group: g, ttl } => {
            let ttl = ttl.map(|seconds| seconds * SECOND);
            hubs.add_user(now, &hub(h), &user(u), &group(g), ttl).unwrap();
        }
        Step::RemoveUser { hub: h, user: u, group: g } => hubs.remove_user(&hub(h), &user(u), &group(g)),
        Step::RemoveUserFromAll { hub: h, user: u } => hubs.remove_user_from_all(&hub(h), &user(u)),
        Step::Wait { .. } => {}
    }
}

fn replay(steps: &[Step]) -> (Hubs<usize>, Model, Instant) {
    let (mut hubs, mut model, start) = (Hubs::default(), Model::default(), Instant::now());
    for step in steps {
        model.apply(step);
        let now = start + model.now * SECOND;
        hubs.remove_expired(now);
        apply(&mut hubs, now, step);
    }
    (hubs, model, start)
}

fn sorted(handles: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut handles: Vec<_> = handles.into_iter().collect();
    handles.sort_unstable();
    handles
}

proptest! {
    #[test]
    fn hubs_users_and_groups_have_exactly_their_connections(steps in prop::collection::vec(step(), 0..80)) {
        let (hubs, model, _) = replay(&steps);
        for h in 0..2 {
            let everyone = model.connections.iter().filter(|entry| entry.0 == h).map(|entry| entry.1);
            prop_assert_eq!(sorted(handles(hubs.everyone(&hub(h)))), sorted(everyone));
            for name in 0..NAMES.len() {
                prop_assert_eq!(sorted(handles(hubs.user(&hub(h), &user(name)))), model.of_user(h, name));
                // In the order of ids.
                let members = model.group(h, name);
                prop_assert_eq!(hubs.has_group(&hub(h), &group(name)), !members.is_empty());
                prop_assert_eq!(handles(hubs.group(&hub(h), &group(name), None)), members);
                for u in 0..NAMES.len() {
                    let was_added = model.was_added(h, u, name);
                    prop_assert_eq!(hubs.has_user_in(&hub(h), &user(u), &group(name)), was_added);
                }
            }
            for i in 0..CONNECTIONS {
                let found = hubs.connection(&hub(h), &id(i));
                prop_assert_eq!(found.and_then(|found| found.user.cloned()), model.owner(h, i).map(user));
                let groups: HashSet<_> = hubs.groups_of(&hub(h), &id(i)).cloned().collect();
                let expected: HashSet<_> = (0..NAMES.len()).filter(|&g| model.is_in(h, i, g)).map(group).collect();
                prop_assert_eq!(groups, expected);
            }
        }
    }

    #[test]
    fn nothing_is_kept_after_all_connections_and_memberships_ended(steps in prop::collection::vec(step(), 0..80)) {
        let (mut hubs, model, start) = replay(&steps);
        for (h, i, _) in model.connections {
            prop_assert!(hubs.leave(&hub(h), &id(i)));
        }
        prop_assert!(hubs.hubs.is_empty());
        hubs.remove_expired(start + Duration::from_secs(2 * 365 * 24 * 60 * 60));
        prop_assert!(hubs.memberships.is_empty());
    }
}
