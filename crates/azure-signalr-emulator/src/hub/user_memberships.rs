//! Which users are in which groups, and until when, whether they are connected or not.
//!
//! A membership here says nothing about connections: its user may have none yet, and the hub may never have had any.
//! Every membership ends some day, and there is a most of them, so that what nobody takes back does not pile up.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::ids::{GroupName, UserId};
use super::{MOST_GROUPS, TooManyGroups};
use crate::hub_name::HubName;

/// How long a membership lasts that was given no time.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Most memberships without a time that one user has; the oldest gives way. Both are rules of the real service.
const MOST_WITHOUT_TIME: usize = 100;

/// Most memberships altogether. The real service states no such limit.
const MOST: usize = 1_000_000;

/// A user of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Person {
    pub(super) hub: HubName,
    pub(super) user: UserId,
}

/// All memberships of users.
#[derive(Debug, Default)]
pub(super) struct Standing {
    people: HashMap<Person, HashMap<GroupName, Membership>>,
    /// Every membership by its end, so that nobody has to look for those that are over.
    ends: BTreeMap<End, (Person, GroupName)>,
    added: u64,
}

/// When a membership ends, and as which in the order of all: no two are the same.
type End = (Instant, u64);

#[derive(Debug)]
struct Membership {
    end: End,
    timed: bool,
}

impl Standing {
    /// Adds a membership, or gives one that is there a new end. Without a `ttl` it lasts a year, and another may have
    /// to give way: that one's group is returned.
    pub(super) fn add(
        &mut self,
        now: Instant,
        person: &Person,
        group: &GroupName,
        ttl: Option<Duration>,
    ) -> Result<Option<GroupName>, TooManyGroups> {
        if !self.remove(person, group)
            && (self.ends.len() == MOST || self.groups(person).count() == MOST_GROUPS)
        {
            return Err(TooManyGroups);
        }
        self.added += 1;
        let end = (now + ttl.unwrap_or(YEAR), self.added);
        self.ends.insert(end, (person.clone(), group.clone()));
        let groups = self.people.entry(person.clone()).or_default();
        groups.insert(group.clone(), Membership { end, timed: ttl.is_some() });
        let one_too_many = oldest_without_time(groups).filter(|_| ttl.is_none());
        if let Some(oldest) = &one_too_many {
            self.remove(person, oldest);
        }
        Ok(one_too_many)
    }

    /// True if there was such a membership.
    pub(super) fn remove(&mut self, person: &Person, group: &GroupName) -> bool {
        let Some(groups) = self.people.get_mut(person) else { return false };
        let Some(membership) = groups.remove(group) else { return false };
        self.ends.remove(&membership.end);
        if groups.is_empty() {
            self.people.remove(person);
        }
        true
    }

    pub(super) fn remove_all(&mut self, person: &Person) {
        for membership in self.people.remove(person).unwrap_or_default().into_values() {
            self.ends.remove(&membership.end);
        }
    }

    pub(super) fn contains(&self, person: &Person, group: &GroupName) -> bool {
        self.people.get(person).is_some_and(|groups| groups.contains_key(group))
    }

    pub(super) fn groups(&self, person: &Person) -> impl Iterator<Item = &GroupName> {
        self.people.get(person).into_iter().flat_map(HashMap::keys)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty() && self.ends.is_empty()
    }

    /// Removes one membership that is over, and returns it.
    pub(super) fn next_ended(&mut self, now: Instant) -> Option<(Person, GroupName)> {
        let first = self.ends.first_entry().filter(|first| first.key().0 <= now)?;
        let (person, group) = first.get().clone();
        self.remove(&person, &group);
        Some((person, group))
    }
}

/// The membership without a time that was added first, if there is one more of them than may be.
fn oldest_without_time(groups: &HashMap<GroupName, Membership>) -> Option<GroupName> {
    let untimed = groups.iter().filter(|(_, membership)| !membership.timed);
    let oldest = untimed.clone().min_by_key(|(_, membership)| membership.end.1)?;
    (untimed.count() > MOST_WITHOUT_TIME).then(|| oldest.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ann() -> Person {
        Person { hub: HubName::of_client("chat").unwrap(), user: UserId::new("ann").unwrap() }
    }

    fn group(number: usize) -> GroupName {
        GroupName::new(&number.to_string()).unwrap()
    }

    #[test]
    fn a_membership_ends_at_its_time_and_leaves_nothing_behind() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.add(now, &ann(), &group(1), Some(2 * SECOND)).unwrap();
        standing.add(now, &ann(), &group(2), Some(SECOND)).unwrap();
        assert_eq!(standing.next_ended(now), None);
        assert_eq!(standing.next_ended(now + 2 * SECOND), Some((ann(), group(2))));
        assert_eq!(standing.next_ended(now + 2 * SECOND), Some((ann(), group(1))));
        assert_eq!(standing.next_ended(now + 2 * SECOND), None);
        assert!(standing.is_empty());
    }

    #[test]
    fn adding_again_counts_from_then_and_is_remembered_once() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for second in 0..10 {
            standing.add(now + second * SECOND, &ann(), &group(1), Some(5 * SECOND)).unwrap();
        }
        assert_eq!(standing.ends.len(), 1);
        assert_eq!(standing.next_ended(now + 13 * SECOND), None);
        assert!(standing.contains(&ann(), &group(1)));
    }

    #[test]
    fn without_a_time_it_lasts_a_year() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.add(now, &ann(), &group(1), None).unwrap();
        assert_eq!(standing.next_ended(now + YEAR - SECOND), None);
        assert!(standing.next_ended(now + YEAR).is_some());
    }

    #[test]
    fn of_those_without_a_time_the_latest_hundred_are_kept() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.add(now, &ann(), &group(1_000), Some(SECOND)).unwrap();
        for number in 0..MOST_WITHOUT_TIME {
            assert_eq!(standing.add(now, &ann(), &group(number), None), Ok(None));
        }
        assert_eq!(standing.add(now, &ann(), &group(0), None), Ok(None), "0 is the latest now");
        assert_eq!(standing.add(now, &ann(), &group(100), None), Ok(Some(group(1))));
        assert!(!standing.contains(&ann(), &group(1)));
        assert!(standing.contains(&ann(), &group(0)) && standing.contains(&ann(), &group(1_000)));
        assert_eq!(standing.ends.len(), MOST_WITHOUT_TIME + 1);
    }

    #[test]
    fn a_user_has_so_many_groups_and_no_more() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for number in 0..MOST_GROUPS {
            standing.add(now, &ann(), &group(number), Some(SECOND)).unwrap();
        }
        assert_eq!(standing.add(now, &ann(), &group(MOST_GROUPS), Some(SECOND)), Err(TooManyGroups));
        assert_eq!(standing.add(now, &ann(), &group(0), Some(2 * SECOND)), Ok(None));
        standing.remove_all(&ann());
        assert!(standing.is_empty());
    }
}
