//! The group memberships of users, which need no connection and end at a given time.
//!
//! Every membership ends, and their number is limited, so that memberships that are never removed do not accumulate.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::hub_connections::{MAX_GROUPS, TooManyGroups};
use super::ids::{GroupName, HubName, UserId};

/// The lifetime of a membership without a `ttl`.
const DEFAULT_TTL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Maximum number of memberships without a `ttl` of one user; the oldest is removed. Both are rules of the real service.
const MAX_WITHOUT_TTL: usize = 100;

/// Maximum number of memberships of all users. The real service states no such limit.
const MAX_MEMBERSHIPS: usize = 1_000_000;

/// A user of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HubUser {
    pub(super) hub: HubName,
    pub(super) user: UserId,
}

/// All memberships of users.
#[derive(Debug, Default)]
pub(super) struct UserMemberships {
    users: HashMap<HubUser, HashMap<GroupName, Membership>>,
    /// Every membership by its end, so that expired ones are found without a search.
    ends: BTreeMap<End, (HubUser, GroupName)>,
    added: u64,
}

/// The end of a membership, and a number that makes it unique.
type End = (Instant, u64);

#[derive(Debug)]
struct Membership {
    end: End,
    has_ttl: bool,
}

impl UserMemberships {
    /// Adds a membership, or gives an existing one a new end. Without a `ttl` it lasts a year and may replace the oldest one
    /// of this kind, whose group is returned.
    pub(super) fn add(
        &mut self,
        now: Instant,
        user: &HubUser,
        group: &GroupName,
        ttl: Option<Duration>,
    ) -> Result<Option<GroupName>, TooManyGroups> {
        if !self.remove(user, group) && (self.ends.len() == MAX_MEMBERSHIPS || self.groups(user).count() == MAX_GROUPS)
        {
            return Err(TooManyGroups);
        }
        self.added += 1;
        let end = (now + ttl.unwrap_or(DEFAULT_TTL), self.added);
        self.ends.insert(end, (user.clone(), group.clone()));
        let groups = self.users.entry(user.clone()).or_default();
        groups.insert(group.clone(), Membership { end, has_ttl: ttl.is_some() });
        let replaced = oldest_over_limit(groups).filter(|_| ttl.is_none());
        if let Some(oldest) = &replaced {
            self.remove(user, oldest);
        }
        Ok(replaced)
    }

    /// Removes a membership. False if it did not exist.
    pub(super) fn remove(&mut self, user: &HubUser, group: &GroupName) -> bool {
        let Some(groups) = self.users.get_mut(user) else { return false };
        let Some(membership) = groups.remove(group) else { return false };
        self.ends.remove(&membership.end);
        if groups.is_empty() {
            self.users.remove(user);
        }
        true
    }

    pub(super) fn remove_all(&mut self, user: &HubUser) {
        for membership in self.users.remove(user).unwrap_or_default().into_values() {
            self.ends.remove(&membership.end);
        }
    }

    pub(super) fn contains(&self, user: &HubUser, group: &GroupName) -> bool {
        self.users.get(user).is_some_and(|groups| groups.contains_key(group))
    }

    pub(super) fn groups(&self, user: &HubUser) -> impl Iterator<Item = &GroupName> {
        self.users.get(user).into_iter().flat_map(HashMap::keys)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.ends.is_empty()
    }

    /// Removes and returns one expired membership.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(HubUser, GroupName)> {
        let first = self.ends.first_entry().filter(|first| first.key().0 <= now)?;
        let (user, group) = first.get().clone();
        self.remove(&user, &group);
        Some((user, group))
    }
}

/// The oldest membership without a `ttl`, if there are more than the maximum.
fn oldest_over_limit(groups: &HashMap<GroupName, Membership>) -> Option<GroupName> {
    let without_ttl = groups.iter().filter(|(_, membership)| !membership.has_ttl);
    let oldest = without_ttl.clone().min_by_key(|(_, membership)| membership.end.1)?;
    (without_ttl.count() > MAX_WITHOUT_TTL).then(|| oldest.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ann() -> HubUser {
        HubUser { hub: HubName::of_client("chat").unwrap(), user: UserId::new("ann").unwrap() }
    }

    fn group(number: usize) -> GroupName {
        GroupName::new(&number.to_string()).unwrap()
    }

    #[test]
    fn a_membership_ends_at_its_time_and_is_removed() {
        let (mut memberships, now) = (UserMemberships::default(), Instant::now());
        memberships.add(now, &ann(), &group(1), Some(2 * SECOND)).unwrap();
        memberships.add(now, &ann(), &group(2), Some(SECOND)).unwrap();
        assert_eq!(memberships.pop_expired(now), None);
        assert_eq!(memberships.pop_expired(now + 2 * SECOND), Some((ann(), group(2))));
        assert_eq!(memberships.pop_expired(now + 2 * SECOND), Some((ann(), group(1))));
        assert_eq!(memberships.pop_expired(now + 2 * SECOND), None);
        assert!(memberships.is_empty());
    }

    #[test]
    fn adding_a_membership_again_replaces_its_end() {
        let (mut memberships, now) = (UserMemberships::default(), Instant::now());
        for second in 0..10 {
            memberships.add(now + second * SECOND, &ann(), &group(1), Some(5 * SECOND)).unwrap();
        }
        assert_eq!(memberships.ends.len(), 1);
        assert_eq!(memberships.pop_expired(now + 13 * SECOND), None);
        assert!(memberships.contains(&ann(), &group(1)));
    }

    #[test]
    fn a_membership_without_a_ttl_lasts_a_year() {
        let (mut memberships, now) = (UserMemberships::default(), Instant::now());
        memberships.add(now, &ann(), &group(1), None).unwrap();
        assert_eq!(memberships.pop_expired(now + DEFAULT_TTL - SECOND), None);
        assert!(memberships.pop_expired(now + DEFAULT_TTL).is_some());
    }

    #[test]
    fn the_latest_hundred_memberships_without_a_ttl_are_kept() {
        let (mut memberships, now) = (UserMemberships::default(), Instant::now());
        memberships.add(now, &ann(), &group(1_000), Some(SECOND)).unwrap();
        for number in 0..MAX_WITHOUT_TTL {
            assert_eq!(memberships.add(now, &ann(), &group(number), None), Ok(None));
        }
        assert_eq!(memberships.add(now, &ann(), &group(0), None), Ok(None), "0 is the latest now");
        assert_eq!(memberships.add(now, &ann(), &group(100), None), Ok(Some(group(1))));
        assert!(!memberships.contains(&ann(), &group(1)));
        assert!(memberships.contains(&ann(), &group(0)) && memberships.contains(&ann(), &group(1_000)));
        assert_eq!(memberships.ends.len(), MAX_WITHOUT_TTL + 1);
    }

    #[test]
    fn a_user_has_a_maximum_number_of_groups() {
        let (mut memberships, now) = (UserMemberships::default(), Instant::now());
        for number in 0..MAX_GROUPS {
            memberships.add(now, &ann(), &group(number), Some(SECOND)).unwrap();
        }
        assert_eq!(memberships.add(now, &ann(), &group(MAX_GROUPS), Some(SECOND)), Err(TooManyGroups));
        assert_eq!(memberships.add(now, &ann(), &group(0), Some(2 * SECOND)), Ok(None));
        memberships.remove_all(&ann());
        assert!(memberships.is_empty());
    }
}
