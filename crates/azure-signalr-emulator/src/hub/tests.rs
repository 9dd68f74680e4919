//! The state of hubs against a plain retelling of it: lists that are searched from end to end.

use proptest::prelude::*;

use super::*;

/// Few enough names that steps meet.
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

fn links<'a>(connections: impl Iterator<Item = Connection<'a, usize>>) -> Vec<usize> {
    connections.map(|connection| *connection.link).collect()
}

fn in_group(hubs: &Hubs<usize>, number: usize) -> Vec<usize> {
    links(hubs.group(&chat(), &group(number), &HashSet::new()))
}

/// Connections 0 and 1 of user 0, and 2 of nobody.
fn three() -> (Hubs<usize>, Instant) {
    let (mut hubs, now) = (Hubs::default(), Instant::now());
    for (number, owner) in [(0, Some(user(0))), (1, Some(user(0))), (2, None)] {
        hubs.join(now, &chat(), &id(number), owner.as_ref(), number);
    }
    (hubs, now)
}

#[test]
fn a_connection_that_is_not_there_cannot_be_put_into_a_group() {
    let (mut hubs, _) = three();
    assert_eq!(hubs.add(&chat(), &id(9), &group(0)), Err(NotAdded::Unknown));
    assert_eq!(hubs.add(&hub(1), &id(0), &group(0)), Err(NotAdded::Unknown));
    assert!(!hubs.has_group(&chat(), &group(0)));
    assert_eq!(hubs.add(&chat(), &id(0), &group(0)), Ok(()));
    assert!(hubs.has_group(&chat(), &group(0)));
}

#[test]
fn a_connection_has_so_many_groups_and_no_more() {
    let (mut hubs, now) = three();
    let numbered = |number: usize| GroupName::new(&number.to_string()).unwrap();
    for number in 0..MOST_GROUPS {
        hubs.add(&chat(), &id(0), &numbered(number)).unwrap();
    }
    assert_eq!(hubs.add(&chat(), &id(0), &group(0)), Err(NotAdded::TooManyGroups));
    assert_eq!(hubs.add(&chat(), &id(0), &numbered(0)), Ok(()));
    assert_eq!(hubs.add_user(now, &chat(), &user(0), &group(0), Some(Duration::ZERO)), Err(TooManyGroups));
    assert_eq!(in_group(&hubs, 0), [1], "where there is room");
}

#[test]
fn a_user_may_be_in_a_group_of_a_hub_nobody_has_been_in() {
    let (mut hubs, now) = (Hubs::default(), Instant::now());
    hubs.add_user(now, &chat(), &user(0), &group(0), None).unwrap();
    assert!(hubs.has_user_in(&chat(), &user(0), &group(0)) && !hubs.has_group(&chat(), &group(0)));
    hubs.join(now, &chat(), &id(0), Some(&user(0)), 0);
    assert_eq!(in_group(&hubs, 0), [0]);
}

#[test]
fn a_user_stays_in_a_group_when_its_connections_go_and_a_connection_does_not() {
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
fn when_the_time_of_a_user_ends_only_what_was_put_there_for_itself_stays() {
    let (mut hubs, now) = three();
    hubs.add(&chat(), &id(1), &group(0)).unwrap();
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(2 * SECOND)).unwrap();
    hubs.tidy(now + SECOND);
    assert_eq!(in_group(&hubs, 0), [0, 1]);
    hubs.tidy(now + 2 * SECOND);
    assert_eq!(in_group(&hubs, 0), [1]);
    assert!(!hubs.has_user_in(&chat(), &user(0), &group(0)));
}

#[test]
fn who_joins_after_the_time_is_over_is_not_in_the_group() {
    let (mut hubs, now) = (Hubs::default(), Instant::now());
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(SECOND)).unwrap();
    hubs.join(now + SECOND, &chat(), &id(0), Some(&user(0)), 0);
    assert!(in_group(&hubs, 0).is_empty());
}

#[test]
fn a_time_of_nothing_is_for_those_who_are_there_and_takes_nothing_away() {
    let (mut hubs, now) = three();
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(SECOND)).unwrap();
    hubs.add_user(now, &chat(), &user(0), &group(0), Some(Duration::ZERO)).unwrap();
    hubs.join(now, &chat(), &id(3), Some(&user(0)), 3);
    assert_eq!(in_group(&hubs, 0), [0, 1, 3]);
    hubs.tidy(now + SECOND);
    assert_eq!(in_group(&hubs, 0), [0, 1]);
    assert!(hubs.has_user_in(&chat(), &user(0), &group(0)));
    hubs.remove_user(&chat(), &user(0), &group(0));
    assert!(in_group(&hubs, 0).is_empty());
}

#[test]
fn removing_a_user_leaves_what_was_put_there_for_itself() {
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
fn removing_a_connection_takes_it_out_even_if_its_user_stays() {
    let (mut hubs, now) = three();
    hubs.add_user(now, &chat(), &user(0), &group(0), None).unwrap();
    hubs.remove(&chat(), &id(0), &group(0));
    assert_eq!(in_group(&hubs, 0), [1]);
    hubs.remove_from_all(&chat(), &id(1));
    assert!(in_group(&hubs, 0).is_empty());
    assert!(hubs.has_user_in(&chat(), &user(0), &group(0)));
}

#[test]
fn a_group_that_has_to_give_way_is_left() {
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
fn a_group_is_read_in_the_order_of_ids_even_after_one_that_has_left() {
    let (mut hubs, _) = three();
    for number in [2, 0, 1] {
        hubs.add(&chat(), &id(number), &group(0)).unwrap();
    }
    hubs.leave(&chat(), &id(1));
    assert_eq!(links(hubs.group_after(&chat(), &group(0), None)), [0, 2]);
    assert_eq!(links(hubs.group_after(&chat(), &group(0), Some(&id(1)))), [2]);
    assert!(links(hubs.group_after(&chat(), &group(0), Some(&id(2)))).is_empty());
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
    // Mostly in one hub, or hardly anybody would meet.
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

/// The same, told as plainly as possible.
#[derive(Default)]
struct Plain {
    /// Hub, connection, user.
    seats: Vec<(usize, usize, Option<usize>)>,
    /// Hub, connection, group, and whether it is there for itself, or was put there once with its user.
    lone: Vec<(usize, usize, usize, bool)>,
    /// Hub, user, group, and when it is over.
    users: Vec<(usize, usize, usize, u32)>,
    /// Hub, connection, group: those that were taken out of a group their user is in.
    out: Vec<(usize, usize, usize)>,
    now: u32,
}

impl Plain {
    fn owner(&self, hub: usize, id: usize) -> Option<usize> {
        self.seats.iter().find(|seat| (seat.0, seat.1) == (hub, id)).and_then(|seat| seat.2)
    }

    fn of_user(&self, hub: usize, user: usize) -> Vec<usize> {
        let seats = self.seats.iter().filter(|seat| (seat.0, seat.2) == (hub, Some(user)));
        sorted(seats.map(|seat| seat.1))
    }

    fn has_user(&self, hub: usize, user: usize, group: usize) -> bool {
        self.users.iter().any(|&(h, u, g, end)| (h, u, g) == (hub, user, group) && self.now < end)
    }

    fn is_in(&self, hub: usize, id: usize, group: usize) -> bool {
        let lone = self.lone.iter().any(|&(h, i, g, _)| (h, i, g) == (hub, id, group));
        let with_user = self.owner(hub, id).is_some_and(|user| self.has_user(hub, user, group));
        lone || with_user && !self.out.contains(&(hub, id, group))
    }

    fn group(&self, hub: usize, group: usize) -> Vec<usize> {
        let here = self.seats.iter().filter(|seat| seat.0 == hub).map(|seat| seat.1);
        sorted(here.filter(|&id| self.is_in(hub, id, group)))
    }

    fn was_added(&self, hub: usize, user: usize, group: usize) -> bool {
        let once = |id| self.lone.contains(&(hub, id, group, false));
        self.has_user(hub, user, group) || self.of_user(hub, user).into_iter().any(once)
    }

    fn leave(&mut self, hub: usize, id: usize) {
        self.seats.retain(|seat| (seat.0, seat.1) != (hub, id));
        self.lone.retain(|lone| (lone.0, lone.1) != (hub, id));
        self.out.retain(|out| (out.0, out.1) != (hub, id));
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Join { hub, id, user } => {
                self.leave(hub, id);
                self.seats.push((hub, id, user));
            }
            Step::Leave { hub, id } => self.leave(hub, id),
            Step::Add { hub, id, group } => {
                if self.seats.iter().any(|seat| (seat.0, seat.1) == (hub, id)) {
                    self.lone.push((hub, id, group, true));
                }
            }
            Step::Remove { hub, id, group } => {
                self.lone.retain(|lone| (lone.0, lone.1, lone.2) != (hub, id, group));
                self.out.push((hub, id, group));
            }
            Step::RemoveFromAll { hub, id } => {
                self.lone.retain(|lone| (lone.0, lone.1) != (hub, id));
                self.out.extend((0..NAMES.len()).map(|group| (hub, id, group)));
            }
            Step::AddUser { hub, user, group, ttl: Some(0) } => {
                let now = self.of_user(hub, user);
                self.lone.extend(now.into_iter().map(|id| (hub, id, group, false)));
            }
            Step::AddUser { hub, user, group, ttl } => {
                let theirs = self.of_user(hub, user);
                self.out.retain(|out| (out.0, out.2) != (hub, group) || !theirs.contains(&out.1));
                self.users.retain(|added| (added.0, added.1, added.2) != (hub, user, group));
                self.users.push((hub, user, group, ttl.map_or(u32::MAX, |ttl| self.now + ttl)));
            }
            Step::RemoveUser { hub, user, group } => {
                let theirs = self.of_user(hub, user);
                self.lone.retain(|&(h, i, g, own)| own || (h, g) != (hub, group) || !theirs.contains(&i));
                self.users.retain(|added| (added.0, added.1, added.2) != (hub, user, group));
            }
            Step::RemoveUserFromAll { hub, user } => {
                let theirs = self.of_user(hub, user);
                self.lone.retain(|&(h, i, _, own)| own || h != hub || !theirs.contains(&i));
                self.users.retain(|added| (added.0, added.1) != (hub, user));
            }
            Step::Wait { seconds } => self.now += seconds,
        }
        // Who is out is out of the memberships of that time, and not of later ones.
        let seats = std::mem::take(&mut self.out);
        let stands = |&(h, i, g): &(usize, usize, usize)| {
            self.owner(h, i).is_some_and(|user| self.has_user(h, user, g))
        };
        self.out = seats.into_iter().filter(stands).collect();
    }
}

fn take(hubs: &mut Hubs<usize>, now: Instant, step: &Step) {
    match *step {
        Step::Join { hub: h, id: i, user: u } => hubs.join(now, &hub(h), &id(i), u.map(user).as_ref(), i),
        Step::Leave { hub: h, id: i } => {
            hubs.leave(&hub(h), &id(i));
        }
        Step::Add { hub: h, id: i, group: g } => {
            let seated = hubs.connection(&hub(h), &id(i)).is_some();
            assert_eq!(hubs.add(&hub(h), &id(i), &group(g)).is_ok(), seated);
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

fn replay(steps: &[Step]) -> (Hubs<usize>, Plain, Instant) {
    let (mut hubs, mut plain, start) = (Hubs::default(), Plain::default(), Instant::now());
    for step in steps {
        plain.take(step);
        let now = start + plain.now * SECOND;
        hubs.tidy(now);
        take(&mut hubs, now, step);
    }
    (hubs, plain, start)
}

fn sorted(links: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut links: Vec<_> = links.into_iter().collect();
    links.sort_unstable();
    links
}

proptest! {
    #[test]
    fn every_audience_is_exactly_who_belongs_to_it(
        steps in prop::collection::vec(step(), 0..80),
        excluded in prop::collection::hash_set(0..CONNECTIONS, 0..3),
    ) {
        let (hubs, plain, _) = replay(&steps);
        let shut_out: HashSet<_> = excluded.iter().copied().map(id).collect();
        let but_excluded =
            |ids: Vec<usize>| -> Vec<usize> { ids.into_iter().filter(|id| !excluded.contains(id)).collect() };
        for h in 0..2 {
            let everyone = plain.seats.iter().filter(|seat| seat.0 == h).map(|seat| seat.1);
            prop_assert_eq!(sorted(links(hubs.everyone(&hub(h), &shut_out))), but_excluded(sorted(everyone)));
            for name in 0..NAMES.len() {
                prop_assert_eq!(
                    sorted(links(hubs.user(&hub(h), &user(name), &shut_out))),
                    but_excluded(plain.of_user(h, name))
                );
                // In order as it is.
                let members = plain.group(h, name);
                prop_assert_eq!(hubs.has_group(&hub(h), &group(name)), !members.is_empty());
                prop_assert_eq!(links(hubs.group(&hub(h), &group(name), &shut_out)), but_excluded(members));
                for u in 0..NAMES.len() {
                    prop_assert_eq!(
                        hubs.has_user_in(&hub(h), &user(u), &group(name)),
                        plain.was_added(h, u, name)
                    );
                }
            }
            for i in 0..CONNECTIONS {
                let found = hubs.connection(&hub(h), &id(i));
                prop_assert_eq!(found.and_then(|found| found.user.cloned()), plain.owner(h, i).map(user));
                let groups: HashSet<_> = hubs.groups_of(&hub(h), &id(i)).cloned().collect();
                let expected: HashSet<_> = (0..NAMES.len()).filter(|&g| plain.is_in(h, i, g)).map(group).collect();
                prop_assert_eq!(groups, expected);
            }
        }
    }

    #[test]
    fn nothing_is_kept_once_all_have_left_and_all_is_over(steps in prop::collection::vec(step(), 0..80)) {
        let (mut hubs, plain, start) = replay(&steps);
        for (h, i, _) in plain.seats {
            prop_assert!(hubs.leave(&hub(h), &id(i)));
        }
        prop_assert!(hubs.hubs.is_empty());
        hubs.tidy(start + Duration::from_secs(2 * 365 * 24 * 60 * 60));
        prop_assert!(hubs.standing.is_empty());
    }
}
