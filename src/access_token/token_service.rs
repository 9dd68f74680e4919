//! Issues access tokens: finds the identity of a person, creates one for a new person, and requests a token for it.
//!
//! A person has one identity, even if several processes create one at the same time: the store accepts the first, and the others
//! delete theirs. An identity is deleted at the service first and removed from the store last, so that a deletion that fails can be
//! repeated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_communication::{AccessToken, Client, Error as ServiceError, ErrorKind, Grant, UserId};
use jiff::Timestamp;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::timeout;
use tracing::warn;

use super::token_request::TokenRequest;
use crate::auth::{Person, PersonKey};
use crate::error::Error;
use crate::identities::{IdentityStore, StoreError, StoredIdentity};
use crate::rate_limiter::{Rate, RateLimiter};
use crate::upstream_time::UpstreamTimer;

/// Tokens for each person. A page requests one at start and one each hour; a browser may reopen many tabs.
const TOKEN_RATE: Rate = Rate::new(20, Duration::from_secs(6));
/// The number of locks that people share. Tokens are issued under a shared lock; identities are created and deleted under an exclusive one,
/// so that no token is issued for an identity that is being deleted.
const LOCK_SHARDS: usize = 256;
/// The longest wait for a lock. It is longer only when the service or the store fails.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Issues access tokens of Azure Communication Services. Clones share everything.
#[derive(Clone)]
pub struct TokenService(Arc<Inner>);

/// The result of issuing a token.
pub(super) struct IssuedToken {
    pub(super) user: UserId,
    pub(super) token: AccessToken,
    /// The scopes and the lifetime of the token.
    pub(super) grant: Grant,
}

struct Inner {
    service: Client,
    identities: IdentityStore,
    max_grant: Grant,
    clock: fn() -> Timestamp,
    issue_limit: RateLimiter,
    /// Of revoking and forgetting: they must be possible when no more tokens are.
    revoke_limit: RateLimiter,
    locks: [RwLock<()>; LOCK_SHARDS],
}

impl TokenService {
    /// Issues tokens of `service` for at most `max_grant` to people whose identities are stored in `identities`.
    pub fn new(service: Client, identities: IdentityStore, max_grant: Grant, clock: fn() -> Timestamp) -> Self {
        let [issue_limit, revoke_limit] = [RateLimiter::new(TOKEN_RATE), RateLimiter::new(TOKEN_RATE)];
        let locks = std::array::from_fn(|_| RwLock::new(()));
        Self(Arc::new(Inner { service, identities, max_grant, clock, issue_limit, revoke_limit, locks }))
    }

    /// Counts a request of a person for a token.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`] with the time until the next one is allowed.
    pub(super) fn check_issue(&self, person: &Person, now: Instant) -> Result<(), Error> {
        self.0.issue_limit.check(&person.key(), now).map_err(Error::RateLimited)
    }

    /// Issues a token for a person. `timer` adds up the time that the service takes.
    pub(super) async fn issue(
        &self,
        person: &Person,
        request: TokenRequest,
        timer: &UpstreamTimer,
    ) -> Result<IssuedToken, Error> {
        let person = person.key();
        let grant = request.authorize(&self.0.max_grant)?;
        let gone = match self.0.issue_to_known(person, &grant, timer).await? {
            Known::Issued(issued) => return Ok(issued),
            // The identity was deleted externally: retry once with a new one.
            Known::Gone(user) => Some(user),
            Known::NotStored => None,
        };
        let (service, timer) = (self.0.clone(), timer.clone());
        run_in_task(async move { service.issue_to_new(person, gone, grant, &timer).await }).await
    }

    /// Revokes all tokens of a person, who keeps the identity.
    pub(super) async fn revoke(&self, person: &Person, now: Instant, timer: &UpstreamTimer) -> Result<(), Error> {
        let person = person.key();
        self.0.revoke_limit.check(&person, now).map_err(Error::RateLimited)?;
        self.0.revoke(person, timer).await
    }

    /// Deletes the identity of a person with all its tokens. Their next token is for a new identity.
    pub(super) async fn forget(&self, person: &Person, now: Instant, timer: &UpstreamTimer) -> Result<(), Error> {
        let person = person.key();
        self.0.revoke_limit.check(&person, now).map_err(Error::RateLimited)?;
        let (service, timer) = (self.0.clone(), timer.clone());
        run_in_task(async move { service.forget(person, &timer).await }).await
    }
}

/// The result of requesting a token for the stored identity of a person.
enum Known {
    Issued(IssuedToken),
    /// The stored identity does not exist at the service.
    Gone(UserId),
    /// None is stored.
    NotStored,
}

impl Inner {
    async fn issue_to_known(&self, person: PersonKey, grant: &Grant, timer: &UpstreamTimer) -> Result<Known, Error> {
        let _lock = self.lock_shared(person).await?;
        let Some(StoredIdentity { user, .. }) = self.identities.get(person.as_bytes()).await? else {
            return Ok(Known::NotStored);
        };
        match self.issue_token(&user, grant, timer).await {
            Err(error) if is_gone(&error) => Ok(Known::Gone(user)),
            outcome => Ok(Known::Issued(IssuedToken { user, token: outcome?, grant: grant.clone() })),
        }
    }

    async fn issue_to_new(
        &self,
        person: PersonKey,
        gone: Option<UserId>,
        grant: Grant,
        timer: &UpstreamTimer,
    ) -> Result<IssuedToken, Error> {
        let lock = self.lock_exclusively(person).await?;
        let user = self.enroll(person, gone, timer).await?;
        let _lock = lock.downgrade();
        let token = self.issue_token(&user, &grant, timer).await?;
        Ok(IssuedToken { user, token, grant })
    }

    /// The identity of a person, created if needed; never `gone`, which no longer exists. The caller holds the exclusive lock.
    async fn enroll(&self, person: PersonKey, gone: Option<UserId>, timer: &UpstreamTimer) -> Result<UserId, Error> {
        let person = person.as_bytes();
        let is_good = |stored: &StoredIdentity| gone.as_ref() != Some(&stored.user);
        let before = match self.identities.get(person).await? {
            Some(stored) if is_good(&stored) => return Ok(stored.user),
            before => before,
        };
        // No identity is created that cannot be stored.
        self.identities.check_writable().await?;
        let user = self.create(timer).await?;
        let Err(error) = self.identities.put(person, &user, before.as_ref()).await else { return Ok(user) };
        // Lost the race, or the response to a successful write was lost.
        let found = self.identities.get(person).await.ok().flatten().filter(is_good);
        if found.as_ref().is_none_or(|stored| stored.user != user) {
            self.delete(&user, timer).await;
        }
        found.map(|stored| stored.user).ok_or(Error::Store(error))
    }

    async fn revoke(&self, person: PersonKey, timer: &UpstreamTimer) -> Result<(), Error> {
        for name in self.identities.names(person.as_bytes()).await? {
            let Some(stored) = self.identities.read(&name).await? else { continue };
            match timer.measure(self.service.revoke_tokens(&stored.user, (self.clock)())).await {
                // A deleted identity has no tokens.
                Err(error) if is_gone(&error) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Deletes the identity at the service, and then its file, with which a later attempt would find it.
    async fn forget(&self, person: PersonKey, timer: &UpstreamTimer) -> Result<(), Error> {
        let _lock = self.lock_exclusively(person).await?;
        for name in self.identities.names(person.as_bytes()).await? {
            let Some(stored) = self.identities.read(&name).await? else { continue };
            match timer.measure(self.service.delete_user(&stored.user, (self.clock)())).await {
                Err(error) if is_gone(&error) => {}
                outcome => outcome?,
            }
            match self.identities.delete(&stored).await {
                // Another process found the identity deleted, and has stored a new one.
                Err(StoreError::Conflict) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn create(&self, timer: &UpstreamTimer) -> Result<UserId, ServiceError> {
        let created = timer.measure(self.service.create_user((self.clock)())).await;
        created.inspect_err(|error| {
            if error.may_have_been_done() {
                warn!("an identity may have been created that is not stored");
            }
        })
    }

    /// Deletes an identity that was created and not stored.
    async fn delete(&self, user: &UserId, timer: &UpstreamTimer) {
        if let Err(error) = timer.measure(self.service.delete_user(user, (self.clock)())).await {
            warn!("an identity that is not stored could not be deleted: {error}");
        }
    }

    async fn lock_shared(&self, person: PersonKey) -> Result<RwLockReadGuard<'_, ()>, Error> {
        timeout(LOCK_TIMEOUT, self.lock(person).read()).await.map_err(|_| Error::Overloaded)
    }

    async fn lock_exclusively(&self, person: PersonKey) -> Result<RwLockWriteGuard<'_, ()>, Error> {
        timeout(LOCK_TIMEOUT, self.lock(person).write()).await.map_err(|_| Error::Overloaded)
    }

    fn lock(&self, person: PersonKey) -> &RwLock<()> {
        &self.locks[person.group(LOCK_SHARDS)]
    }

    async fn issue_token(
        &self,
        user: &UserId,
        grant: &Grant,
        timer: &UpstreamTimer,
    ) -> Result<AccessToken, ServiceError> {
        timer.measure(self.service.issue_token(user, grant, (self.clock)())).await
    }
}

/// Runs `work` to its end even if the caller disconnects: no identity is created and not stored.
async fn run_in_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|error| Error::Panicked(error.to_string()))?
}

/// Whether the service says that the identity does not exist. A 404 without a code comes from a gateway.
fn is_gone(error: &ServiceError) -> bool {
    error.kind() == ErrorKind::NotFound && error.code().is_some()
}

#[cfg(test)]
mod tests {
    use azure_communication::{ConnectionString, Scope};

    use super::*;

    /// A token service whose upstream cannot be reached.
    fn token_service() -> TokenService {
        let nowhere: ConnectionString = "endpoint=http://127.0.0.1:1/;accesskey=aHVzaA==".parse().unwrap();
        let identities = IdentityStore::in_folder(&std::env::temp_dir().join("never-created"), nowhere.endpoint());
        TokenService::new(Client::new(&nowhere).unwrap(), identities, Scope::VOIP_JOIN.into(), Timestamp::now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_waited_for_ten_seconds_and_other_people_are_not_held_up() {
        let (service, ann) = (token_service(), PersonKey::of_number(0));
        let has_another_lock = |person: &PersonKey| person.group(LOCK_SHARDS) != ann.group(LOCK_SHARDS);
        let bob = (1..).map(PersonKey::of_number).find(has_another_lock).unwrap();
        let (first, timer, grant) =
            (service.0.lock_exclusively(ann).await.unwrap(), UpstreamTimer::default(), service.0.max_grant.clone());
        let start = tokio::time::Instant::now();
        assert!(matches!(service.0.issue_to_known(ann, &grant, &timer).await, Err(Error::Overloaded)));
        let waited = start.elapsed();
        assert!(waited >= LOCK_TIMEOUT && waited < LOCK_TIMEOUT + Duration::from_secs(1), "{waited:?}");
        assert!(service.0.lock_exclusively(bob).await.is_ok());
        drop(first);
        assert!(service.0.lock_exclusively(ann).await.is_ok());
        assert_eq!(start.elapsed(), waited);
    }
}
