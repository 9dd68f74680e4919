//! The identities of a resource, and since when tokens of each are revoked. Pure state: times and ids are arguments.
//!
//! Tokens are not remembered; a token is revoked when it was issued before its identity's revocation. Seconds are too coarse
//! for that alone, so a token that is issued in the very second of a revocation says that it was issued in the next one.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use uuid::Uuid;

/// Most revocations remembered for one identity. Older ones are told as if they had happened with the next.
const MOST_REVOCATIONS: usize = 16;

/// Who exists.
pub(crate) struct Directory {
    prefix: String,
    most: usize,
    identities: HashMap<String, Identity>,
    created: u64,
}

struct Identity {
    /// Counts up with every identity created.
    number: u64,
    created_at: u64,
    tokens: u64,
    last_issued_at: Option<u64>,
    /// Oldest first, and each covers more tokens than the one before.
    revocations: VecDeque<Revocation>,
}

#[derive(Clone, Copy)]
struct Revocation {
    /// Covers tokens that were issued before.
    before: u64,
    at: u64,
}

/// There are as many identities as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// No such identity: never created here, or deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

/// How a token stands, as far as its identity is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Revoked { at: u64 },
    Deleted,
}

/// One identity, for those who look from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRecord {
    /// Its id, `8:acs:…`.
    pub id: String,
    /// When it was created, in seconds since 1970.
    pub created_at: u64,
    /// How many access tokens it was issued.
    pub tokens: u64,
}

impl Directory {
    /// Nobody yet; never more than `most` at a time.
    pub(crate) fn new(resource: Uuid, most: usize) -> Self {
        Self { prefix: format!("8:acs:{resource}_"), most, identities: HashMap::new(), created: 0 }
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Creates an identity, and returns its id.
    pub(crate) fn create(&mut self, user: Uuid, now: u64) -> Result<String, Full> {
        if self.identities.len() >= self.most {
            return Err(Full);
        }
        self.created += 1;
        let identity = Identity {
            number: self.created,
            created_at: now,
            tokens: 0,
            last_issued_at: None,
            revocations: VecDeque::new(),
        };
        let id = [&self.prefix, user.to_string().as_str()].concat();
        self.identities.insert(id.clone(), identity);
        Ok(id)
    }

    /// Notes that a token is issued, and returns the time it has to say it was issued at.
    pub(crate) fn issue(&mut self, id: &str, now: u64) -> Result<u64, Unknown> {
        let identity = self.identities.get_mut(id).ok_or(Unknown)?;
        let issued_at = identity.revocations.back().map_or(now, |last| now.max(last.before));
        identity.tokens += 1;
        identity.last_issued_at = identity.last_issued_at.max(Some(issued_at));
        Ok(issued_at)
    }

    /// Revokes all tokens issued so far.
    pub(crate) fn revoke(&mut self, id: &str, now: u64) -> Result<(), Unknown> {
        let identity = self.identities.get_mut(id).ok_or(Unknown)?;
        let covered = identity.revocations.back().map_or(0, |last| last.before);
        if let Some(before) = identity.last_issued_at.map(|last| last + 1).filter(|before| covered < *before)
        {
            if identity.revocations.len() == MOST_REVOCATIONS {
                identity.revocations.pop_front();
            }
            identity.revocations.push_back(Revocation { before, at: now });
        }
        Ok(())
    }

    /// Deletes an identity. To delete one that is gone already is no error; one of another resource is unknown.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), Unknown> {
        let deleted = self.identities.remove(id).is_some();
        if deleted || id.starts_with(&self.prefix) { Ok(()) } else { Err(Unknown) }
    }

    /// How a token of the identity, issued then, stands.
    pub(crate) fn standing(&self, id: &str, issued_at: u64) -> Standing {
        let Some(identity) = self.identities.get(id) else { return Standing::Deleted };
        let revocation = identity.revocations.iter().find(|revocation| issued_at < revocation.before);
        revocation.map_or(Standing::Good, |revocation| Standing::Revoked { at: revocation.at })
    }

    /// Everyone, in the order of creation.
    pub(crate) fn list(&self) -> Vec<IdentityRecord> {
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_unstable_by_key(|(_, identity)| identity.number);
        let record = |(id, identity): (&String, &Identity)| IdentityRecord {
            id: id.clone(),
            created_at: identity.created_at,
            tokens: identity.tokens,
        };
        identities.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (Directory, String) {
        let mut directory = Directory::new(Uuid::from_u128(1), 3);
        let id = directory.create(Uuid::from_u128(2), 100).unwrap();
        (directory, id)
    }

    #[test]
    fn an_id_names_resource_and_user() {
        let (_, id) = directory();
        let expected = "8:acs:00000000-0000-0000-0000-000000000001_00000000-0000-0000-0000-000000000002";
        assert_eq!(id, expected);
    }

    #[test]
    fn a_full_directory_takes_nobody_until_somebody_leaves() {
        let (mut directory, first) = directory();
        let second = directory.create(Uuid::from_u128(3), 101).unwrap();
        let third = directory.create(Uuid::from_u128(4), 101).unwrap();
        assert_eq!(directory.create(Uuid::from_u128(5), 101), Err(Full));
        directory.delete(&first).unwrap();
        let fourth = directory.create(Uuid::from_u128(6), 102).unwrap();
        let ids: Vec<_> = directory.list().into_iter().map(|record| record.id).collect();
        assert_eq!(ids, [second, third, fourth]);
    }

    #[test]
    fn within_one_second_earlier_tokens_are_revoked_and_later_ones_are_not() {
        let (mut directory, id) = directory();
        let tokens = [(); 3].map(|()| {
            let issued_at = directory.issue(&id, 200).unwrap();
            directory.revoke(&id, 200).unwrap();
            issued_at
        });
        let last = directory.issue(&id, 200).unwrap();
        for token in tokens {
            assert_eq!(directory.standing(&id, token), Standing::Revoked { at: 200 });
        }
        assert_eq!(directory.standing(&id, last), Standing::Good);
        assert_eq!(directory.issue(&id, 300), Ok(300));
    }

    #[test]
    fn a_token_is_revoked_once_and_for_all() {
        let (mut directory, id) = directory();
        let issued_at = directory.issue(&id, 200).unwrap();
        for now in 210..300 {
            directory.revoke(&id, now).unwrap();
        }
        assert_eq!(directory.standing(&id, issued_at), Standing::Revoked { at: 210 });
        for now in 300..300 + 2 * MOST_REVOCATIONS as u64 {
            directory.issue(&id, now).unwrap();
            directory.revoke(&id, now).unwrap();
        }
        assert!(matches!(directory.standing(&id, issued_at), Standing::Revoked { .. }));
        assert_eq!(directory.identities[&id].revocations.len(), MOST_REVOCATIONS);
    }

    #[test]
    fn whoever_is_gone_has_no_tokens_and_can_be_deleted_again() {
        let (mut directory, id) = directory();
        let issued_at = directory.issue(&id, 200).unwrap();
        assert_eq!([directory.delete(&id), directory.delete(&id)], [Ok(()), Ok(())]);
        assert_eq!(directory.standing(&id, issued_at), Standing::Deleted);
        assert_eq!(directory.issue(&id, 200), Err(Unknown));
        assert_eq!(directory.revoke(&id, 200), Err(Unknown));
        let elsewhere = "8:acs:00000000-0000-0000-0000-000000000009_00000000-0000-0000-0000-000000000002";
        assert_eq!(directory.delete(elsewhere), Err(Unknown));
    }
}
