//! Issues access tokens: finds the identity of a person, creates one for a new person, and requests a token for it.
//!
//! A person has one identity, even if several processes create one at the same time: the store accepts the first, and the others
//! delete theirs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_communication::{AccessToken, Client, Error as ServiceError, ErrorKind, Grant, UserId};
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tracing::warn;

use super::token_request::TokenRequest;
use crate::auth::{Person, PersonKey};
use crate::error::Error;
use crate::identities::{IdentityStore, StoredIdentity};
use crate::rate_limiter::{Rate, RateLimiter};
use crate::upstream_time::UpstreamTimer;

/// Tokens for each person. A page requests one at start and one each hour; a browser may reopen many tabs.
const TOKEN_RATE: Rate = Rate::new(20, Duration::from_secs(6));
/// The number of locks that people share, so that the requests of one person do not race each other.
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
    limit: RateLimiter,
    locks: [Semaphore; LOCK_SHARDS],
}

impl TokenService {
    /// Issues tokens of `service` for at most `max_grant` to people whose identities are stored in `identities`.
    pub fn new(service: Client, identities: IdentityStore, max_grant: Grant, clock: fn() -> Timestamp) -> Self {
        let locks = std::array::from_fn(|_| Semaphore::new(1));
        Self(Arc::new(Inner { service, identities, max_grant, clock, limit: RateLimiter::new(TOKEN_RATE), locks }))
    }

    /// Issues a token for a person. `timer` adds up the time that the service takes.
    pub(super) async fn issue(
        &self,
        person: &Person,
        request: TokenRequest,
        now: Instant,
        timer: &UpstreamTimer,
    ) -> Result<IssuedToken, Error> {
        let person = self.check_rate_limit(person, now)?;
        let grant = request.authorize(&self.0.max_grant)?;
        let user = match self.0.identities.get(&person.to_string()).await? {
            Some(stored) => stored.user,
            None => self.enroll(person, None, timer).await?,
        };
        match self.0.issue_token(&user, &grant, timer).await {
            Err(error) if is_gone(&error) => {
                // The identity was deleted externally: retry once with a new one.
                let user = self.enroll(person, Some(user), timer).await?;
                let token = self.0.issue_token(&user, &grant, timer).await?;
                Ok(IssuedToken { user, token, grant })
            }
            outcome => Ok(IssuedToken { user, token: outcome?, grant }),
        }
    }

    /// Revokes all tokens of a person, who keeps the identity.
    pub(super) async fn revoke(&self, person: &Person, now: Instant, timer: &UpstreamTimer) -> Result<(), Error> {
        let person = self.check_rate_limit(person, now)?;
        let Some(stored) = self.0.identities.get(&person.to_string()).await? else { return Ok(()) };
        match timer.measure(self.0.service.revoke_tokens(&stored.user, (self.0.clock)())).await {
            // A deleted identity has no tokens.
            Err(error) if is_gone(&error) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Deletes the identity of a person with all its tokens. Their next token is for a new identity.
    pub(super) async fn forget(&self, person: &Person, now: Instant, timer: &UpstreamTimer) -> Result<(), Error> {
        let person = self.check_rate_limit(person, now)?;
        let (service, timer) = (self.0.clone(), timer.clone());
        run_in_task(async move { service.forget(person, &timer).await }).await
    }

    fn check_rate_limit(&self, person: &Person, now: Instant) -> Result<PersonKey, Error> {
        let person = person.key();
        self.0.limit.check(&person, now).map_err(Error::RateLimited)?;
        Ok(person)
    }

    /// The identity of a person, created if needed; never `gone`, which no longer exists.
    async fn enroll(&self, person: PersonKey, gone: Option<UserId>, timer: &UpstreamTimer) -> Result<UserId, Error> {
        let (service, timer) = (self.0.clone(), timer.clone());
        run_in_task(async move { service.enroll(person, gone, &timer).await }).await
    }
}

impl Inner {
    async fn enroll(&self, person: PersonKey, gone: Option<UserId>, timer: &UpstreamTimer) -> Result<UserId, Error> {
        let _lock = self.lock_person(person).await?;
        let name = person.to_string();
        let is_good = |stored: &StoredIdentity| gone.as_ref() != Some(&stored.user);
        let before = match self.identities.get(&name).await? {
            Some(stored) if is_good(&stored) => return Ok(stored.user),
            before => before,
        };
        let user = self.create(timer).await?;
        let Err(error) = self.identities.put(&name, &user, before).await else { return Ok(user) };
        // Lost the race, or the response to a successful write was lost.
        let found = self.identities.get(&name).await.ok().flatten().filter(is_good);
        if found.as_ref().is_none_or(|stored| stored.user != user) {
            self.delete(&user, timer).await;
        }
        found.map(|stored| stored.user).ok_or(Error::Store(error))
    }

    /// Removes the stored identity first: no token is requested for an identity that is being deleted.
    async fn forget(&self, person: PersonKey, timer: &UpstreamTimer) -> Result<(), Error> {
        let _lock = self.lock_person(person).await?;
        let name = person.to_string();
        let Some(stored) = self.identities.get(&name).await? else { return Ok(()) };
        self.identities.delete(&name).await?;
        let deleted = timer.measure(self.service.delete_user(&stored.user, (self.clock)())).await;
        deleted.inspect_err(|_| warn!("an identity that was removed from the store could not be deleted"))?;
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

    async fn lock_person(&self, person: PersonKey) -> Result<SemaphorePermit<'_>, Error> {
        let lock = timeout(LOCK_TIMEOUT, self.locks[person.group(LOCK_SHARDS)].acquire()).await;
        lock.map(|lock| lock.expect("the semaphores are never closed")).map_err(|_| Error::Overloaded)
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
        let first = service.0.lock_person(ann).await.unwrap();
        let start = tokio::time::Instant::now();
        assert!(matches!(service.enroll(ann, None, &UpstreamTimer::default()).await, Err(Error::Overloaded)));
        let waited = start.elapsed();
        assert!(waited >= LOCK_TIMEOUT && waited < LOCK_TIMEOUT + Duration::from_secs(1), "{waited:?}");
        assert!(service.0.lock_person(bob).await.is_ok());
        drop(first);
        assert!(service.0.lock_person(ann).await.is_ok());
        assert_eq!(start.elapsed(), waited);
    }
}
