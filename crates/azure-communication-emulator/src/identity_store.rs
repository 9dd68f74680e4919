//! The identities of a resource, and the times at which their tokens were revoked. Pure state: times and ids are arguments.
//!
//! Tokens are not stored: a token is revoked if it was issued before a revocation of its identity. Since times are whole
//! seconds, a token issued in the second of a revocation gets the next second as its time of issue.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use uuid::Uuid;

/// The maximum number of revocations stored for one identity. Older ones get the time of the next one.
const MAX_REVOCATIONS: usize = 16;

/// The identities of one resource.
pub(crate) struct IdentityStore {
    prefix: String,
    max_identities: usize,
    identities: HashMap<String, Identity>,
    created_count: u64,
}

struct Identity {
    /// The position in the order of creation.
    number: u64,
    created_at: u64,
    token_count: u64,
    last_issued_at: Option<u64>,
    /// Oldest first; each covers more tokens than the one before.
    revocations: VecDeque<Revocation>,
}

#[derive(Clone, Copy)]
struct Revocation {
    /// Tokens issued before this time are revoked.
    before: u64,
    at: u64,
}

/// The limit of identities is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoreFull;

/// The identity does not exist: it was never created here, or was deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownIdentity;

/// Whether the identity of a token exists and has not revoked it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenStatus {
    Valid,
    Revoked { at: u64 },
    Deleted,
}

/// An identity as [`Emulator::identities`](crate::Emulator::identities) lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRecord {
    /// The id, `8:acs:…`.
    pub id: String,
    /// When it was created, in seconds since 1970.
    pub created_at: u64,
    /// The number of access tokens issued to it.
    pub tokens: u64,
}

impl IdentityStore {
    pub(crate) fn new(resource: Uuid, max_identities: usize) -> Self {
        let prefix = format!("8:acs:{resource}_");
        Self { prefix, max_identities, identities: HashMap::new(), created_count: 0 }
    }

    pub(crate) fn max_identities(&self) -> usize {
        self.max_identities
    }

    /// Creates an identity and returns its id.
    pub(crate) fn create(&mut self, user: Uuid, now: u64) -> Result<String, StoreFull> {
        if self.identities.len() >= self.max_identities {
            return Err(StoreFull);
        }
        self.created_count += 1;
        let (number, revocations) = (self.created_count, VecDeque::new());
        let identity = Identity { number, created_at: now, token_count: 0, last_issued_at: None, revocations };
        let id = [&self.prefix, user.to_string().as_str()].concat();
        self.identities.insert(id.clone(), identity);
        Ok(id)
    }

    /// Records a token and returns its time of issue.
    pub(crate) fn issue(&mut self, id: &str, now: u64) -> Result<u64, UnknownIdentity> {
        let identity = self.identities.get_mut(id).ok_or(UnknownIdentity)?;
        let issued_at = identity.revocations.back().map_or(now, |last| now.max(last.before));
        identity.token_count += 1;
        identity.last_issued_at = identity.last_issued_at.max(Some(issued_at));
        Ok(issued_at)
    }

    /// Revokes all tokens issued so far.
    pub(crate) fn revoke(&mut self, id: &str, now: u64) -> Result<(), UnknownIdentity> {
        let identity = self.identities.get_mut(id).ok_or(UnknownIdentity)?;
        let covered = identity.revocations.back().map_or(0, |last| last.before);
        if let Some(before) = identity.last_issued_at.map(|last| last + 1).filter(|before| covered < *before) {
            if identity.revocations.len() == MAX_REVOCATIONS {
                identity.revocations.pop_front();
            }
            identity.revocations.push_back(Revocation { before, at: now });
        }
        Ok(())
    }

    /// Deletes an identity. Deleting it again is not an error; the id of another resource is unknown.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), UnknownIdentity> {
        let deleted = self.identities.remove(id).is_some();
        if deleted || id.starts_with(&self.prefix) { Ok(()) } else { Err(UnknownIdentity) }
    }

    /// The status of a token of the identity that was issued at a time.
    pub(crate) fn token_status(&self, id: &str, issued_at: u64) -> TokenStatus {
        let Some(identity) = self.identities.get(id) else { return TokenStatus::Deleted };
        let revocation = identity.revocations.iter().find(|revocation| issued_at < revocation.before);
        revocation.map_or(TokenStatus::Valid, |revocation| TokenStatus::Revoked { at: revocation.at })
    }

    /// All identities in the order of creation.
    pub(crate) fn list(&self) -> Vec<IdentityRecord> {
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_unstable_by_key(|(_, identity)| identity.number);
        let record = |(id, identity): (&String, &Identity)| IdentityRecord {
            id: id.clone(),
            created_at: identity.created_at,
            tokens: identity.token_count,
        };
        identities.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (IdentityStore, String) {
        let mut store = IdentityStore::new(Uuid::from_u128(1), 3);
        let id = store.create(Uuid::from_u128(2), 100).unwrap();
        (store, id)
    }

    #[test]
    fn an_id_contains_resource_and_user() {
        let (_, id) = store();
        let expected = "8:acs:00000000-0000-0000-0000-000000000001_00000000-0000-0000-0000-000000000002";
        assert_eq!(id, expected);
    }

    #[test]
    fn a_full_store_accepts_an_identity_after_one_is_deleted() {
        let (mut store, first) = store();
        let second = store.create(Uuid::from_u128(3), 101).unwrap();
        let third = store.create(Uuid::from_u128(4), 101).unwrap();
        assert_eq!(store.create(Uuid::from_u128(5), 101), Err(StoreFull));
        store.delete(&first).unwrap();
        let fourth = store.create(Uuid::from_u128(6), 102).unwrap();
        let ids: Vec<_> = store.list().into_iter().map(|record| record.id).collect();
        assert_eq!(ids, [second, third, fourth]);
    }

    #[test]
    fn within_one_second_earlier_tokens_are_revoked_and_later_ones_are_not() {
        let (mut store, id) = store();
        let tokens = [(); 3].map(|()| {
            let issued_at = store.issue(&id, 200).unwrap();
            store.revoke(&id, 200).unwrap();
            issued_at
        });
        let last = store.issue(&id, 200).unwrap();
        for token in tokens {
            assert_eq!(store.token_status(&id, token), TokenStatus::Revoked { at: 200 });
        }
        assert_eq!(store.token_status(&id, last), TokenStatus::Valid);
        assert_eq!(store.issue(&id, 300), Ok(300));
    }

    #[test]
    fn a_revoked_token_stays_revoked() {
        let (mut store, id) = store();
        let issued_at = store.issue(&id, 200).unwrap();
        for now in 210..300 {
            store.revoke(&id, now).unwrap();
        }
        assert_eq!(store.token_status(&id, issued_at), TokenStatus::Revoked { at: 210 });
        for now in 300..300 + 2 * MAX_REVOCATIONS as u64 {
            store.issue(&id, now).unwrap();
            store.revoke(&id, now).unwrap();
        }
        assert!(matches!(store.token_status(&id, issued_at), TokenStatus::Revoked { .. }));
        assert_eq!(store.identities[&id].revocations.len(), MAX_REVOCATIONS);
    }

    #[test]
    fn a_deleted_identity_has_no_tokens_and_can_be_deleted_again() {
        let (mut store, id) = store();
        let issued_at = store.issue(&id, 200).unwrap();
        assert_eq!([store.delete(&id), store.delete(&id)], [Ok(()), Ok(())]);
        assert_eq!(store.token_status(&id, issued_at), TokenStatus::Deleted);
        assert_eq!(store.issue(&id, 200), Err(UnknownIdentity));
        assert_eq!(store.revoke(&id, 200), Err(UnknownIdentity));
        let other_resource = "8:acs:00000000-0000-0000-0000-000000000009_00000000-0000-0000-0000-000000000002";
        assert_eq!(store.delete(other_resource), Err(UnknownIdentity));
    }
}
