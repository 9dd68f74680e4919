//! The desk where a person gets a token: who they are at the service is looked up, or found out for the first time.
//!
//! One person has one identity, also when twenty requests come at once and to several processes. The store decides whose identity
//! counts; whoever was late takes that one and deletes its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_communication::{AccessToken, Client, Error as ServiceError, ErrorKind, Grant, UserId};
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tracing::warn;

use super::rate_limiter::RateLimiter;
use super::token_request::TokenRequest;
use crate::auth::{Person, PersonKey};
use crate::error::Error;
use crate::identities::{Identities, Kept, StoreError};
use crate::upstream_time::UpstreamTimer;

/// In this process, people get their identities in so many lines, so that one person's requests do not race one another.
const LOCK_SHARDS: usize = 256;
/// Nobody stands in a line longer. It moves on at once unless service or store are in trouble, and then it helps nobody to wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives out access tokens of Azure Communication Services. Clones are the same desk.
#[derive(Clone)]
pub struct TokenService(Arc<Inner>);

/// What a person leaves the desk with.
pub(super) struct IssuedToken {
    pub(super) user: UserId,
    pub(super) token: AccessToken,
    /// What the token is good for.
    pub(super) grant: Grant,
}

struct Inner {
    service: Client,
    identities: Identities,
    most: Grant,
    clock: fn() -> Timestamp,
    limit: RateLimiter,
    lines: [Semaphore; LOCK_SHARDS],
}

impl TokenService {
    /// Gives out tokens of `service` for no more than `most`, to people whose identities are kept in `identities`.
    #[must_use]
    pub fn new(service: Client, identities: Identities, most: Grant, clock: fn() -> Timestamp) -> Self {
        let lines = std::array::from_fn(|_| Semaphore::new(1));
        Self(Arc::new(Inner { service, identities, most, clock, limit: RateLimiter::default(), lines }))
    }

    /// A token for a person, and who they are there. How long the service takes for it is told to `timer`.
    pub(super) async fn issue(
        &self,
        person: &Person,
        wish: TokenRequest,
        now: Instant,
        timer: &UpstreamTimer,
    ) -> Result<IssuedToken, Error> {
        let person = self.check_rate_limit(person, now)?;
        let grant = wish.within(&self.0.most)?;
        let user = match self.0.identities.find(&person.to_string()).await? {
            Some(kept) => kept.user,
            None => self.enroll(person, None, timer).await?,
        };
        match self.0.issue_token(&user, &grant, timer).await {
            Err(error) if is_gone(&error) => {
                // Deleted behind our back: once more with a new one. Should that be gone as well, it is the service's trouble.
                let user = self.enroll(person, Some(user), timer).await?;
                let token = self.0.issue_token(&user, &grant, timer).await?;
                Ok(IssuedToken { user, token, grant })
            }
            outcome => Ok(IssuedToken { user, token: outcome?, grant }),
        }
    }

    /// Ends all tokens of a person, who keeps the identity.
    pub(super) async fn revoke(
        &self,
        person: &Person,
        now: Instant,
        timer: &UpstreamTimer,
    ) -> Result<(), Error> {
        let person = self.check_rate_limit(person, now)?;
        let Some(kept) = self.0.identities.find(&person.to_string()).await? else { return Ok(()) };
        match timer.measure(self.0.service.revoke_tokens(&kept.user, (self.0.clock)())).await {
            // Whoever is gone has no tokens.
            Err(error) if is_gone(&error) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Ends a person's tokens for good, with their identity: who they were is not known here afterwards, and next time they are somebody new.
    pub(super) async fn forget(
        &self,
        person: &Person,
        now: Instant,
        timer: &UpstreamTimer,
    ) -> Result<(), Error> {
        let person = self.check_rate_limit(person, now)?;
        let (desk, timer) = (self.0.clone(), timer.clone());
        let forgotten = tokio::spawn(async move { desk.forget(person, &timer).await });
        forgotten.await.map_err(|error| Error::Panicked(error.to_string()))?
    }

    fn check_rate_limit(&self, person: &Person, now: Instant) -> Result<PersonKey, Error> {
        let person = person.key();
        self.0.limit.check(person, now).map_err(Error::RateLimited)?;
        Ok(person)
    }

    /// The identity of a person, a new one if need be; not `gone`, which does not exist any more.
    ///
    /// It goes on when its caller goes away, or an identity could be left that was made and not yet kept.
    async fn enroll(
        &self,
        person: PersonKey,
        gone: Option<UserId>,
        timer: &UpstreamTimer,
    ) -> Result<UserId, Error> {
        let (desk, timer) = (self.0.clone(), timer.clone());
        let enrolled = tokio::spawn(async move { desk.enroll(person, gone, &timer).await });
        enrolled.await.map_err(|error| Error::Panicked(error.to_string()))?
    }
}

impl Inner {
    async fn enroll(
        &self,
        person: PersonKey,
        gone: Option<UserId>,
        timer: &UpstreamTimer,
    ) -> Result<UserId, Error> {
        let _lock = self.lock_person(person).await?;
        let name = person.to_string();
        let is_good = |kept: &Kept| gone.as_ref() != Some(&kept.user);
        let before = match self.identities.find(&name).await? {
            Some(kept) if is_good(&kept) => return Ok(kept.user),
            before => before,
        };
        let user = self.create(timer).await?;
        let Err(error) = self.identities.keep(&name, &user, before).await else { return Ok(user) };
        // Late, or not sure: an answer may have been lost of a write that was done.
        let found = self.identities.find(&name).await;
        match found {
            Ok(Some(kept)) if kept.user == user => Ok(user),
            Ok(Some(kept)) if is_good(&kept) => {
                self.delete(&user, timer).await;
                Ok(kept.user)
            }
            Ok(_) | Err(_) => {
                self.delete(&user, timer).await;
                Err(StoreError::into(error))
            }
        }
    }

    /// First the file, then the identity: a token is never asked for somebody who is being deleted.
    async fn forget(&self, person: PersonKey, timer: &UpstreamTimer) -> Result<(), Error> {
        let _lock = self.lock_person(person).await?;
        let name = person.to_string();
        let Some(kept) = self.identities.find(&name).await? else { return Ok(()) };
        self.identities.remove(&name).await?;
        let deleted = timer.measure(self.service.delete_user(&kept.user, (self.clock)())).await;
        deleted.inspect_err(|_| warn!("an identity that nobody has any more is left behind"))?;
        Ok(())
    }

    async fn create(&self, timer: &UpstreamTimer) -> Result<UserId, ServiceError> {
        let created = timer.measure(self.service.create_user((self.clock)())).await;
        created.inspect_err(|error| {
            if error.may_have_been_done() {
                warn!("an identity may have been made that nobody knows of, and is left behind");
            }
        })
    }

    /// Deletes an identity that nobody will ever use.
    async fn delete(&self, user: &UserId, timer: &UpstreamTimer) {
        if let Err(error) = timer.measure(self.service.delete_user(user, (self.clock)())).await {
            warn!("an identity was made in vain and is left behind: {error}");
        }
    }

    async fn lock_person(&self, person: PersonKey) -> Result<SemaphorePermit<'_>, Error> {
        let turn = timeout(PATIENCE, self.lines[person.group(LOCK_SHARDS)].acquire()).await;
        turn.map(|turn| turn.expect("lines are never closed")).map_err(|_| Error::Overloaded)
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

/// Whether the service says that there is no such identity. A gateway's 404, without a code, says nothing of the kind.
fn is_gone(error: &ServiceError) -> bool {
    error.kind() == ErrorKind::NotFound && error.code().is_some()
}

#[cfg(test)]
mod tests {
    use azure_communication::{ConnectionString, Scope};

    use super::*;

    /// The service is nowhere.
    fn desk() -> TokenService {
        let nowhere: ConnectionString = "endpoint=http://127.0.0.1:1/;accesskey=aHVzaA==".parse().unwrap();
        let identities = Identities::in_memory(nowhere.endpoint());
        TokenService::new(Client::new(&nowhere).unwrap(), identities, Scope::VOIP_JOIN.into(), Timestamp::now)
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_stands_in_line_longer_than_helps_and_other_lines_move_on() {
        let (desk, ann) = (desk(), PersonKey::of_number(0));
        let in_another_line = |person: &PersonKey| person.group(LOCK_SHARDS) != ann.group(LOCK_SHARDS);
        let bob = (1..).map(PersonKey::of_number).find(in_another_line).unwrap();
        let first = desk.0.lock_person(ann).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert!(matches!(desk.enroll(ann, None, &UpstreamTimer::default()).await, Err(Error::Overloaded)));
        let timer = begun.elapsed();
        assert!(timer >= PATIENCE && timer < PATIENCE + Duration::from_secs(1), "{timer:?}");
        assert!(desk.0.lock_person(bob).await.is_ok());
        drop(first);
        assert!(desk.0.lock_person(ann).await.is_ok());
        assert_eq!(begun.elapsed(), timer);
    }
}
