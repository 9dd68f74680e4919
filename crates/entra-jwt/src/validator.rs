//! `Validator`: validates access tokens of one tenant for one app.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use azure_credentials::{RefreshingCache, Unavailable};
use azure_http::HttpClient;

use crate::authority::{Authority, Resource};
use crate::keys::{KeyFetcher, Keys, KeysUnavailable};
use crate::token::{Claims, Error, UnverifiedToken, User};

/// Between two fetches because of unknown key ids. Other gateways for tokens of Entra use the same interval.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Validates access tokens of one tenant for one app. Clones share its keys, and are cheap.
#[derive(Clone)]
pub struct Validator(Arc<Inner>);

struct Inner {
    tenant_id: String,
    resource: Resource,
    keys: RefreshingCache<Arc<Keys>, KeysUnavailable>,
    throttle: Mutex<RefreshThrottle>,
}

impl Validator {
    /// Accepts tokens of `authority` for `resource`. Fetches keys over `http` from now on, until the last clone is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(authority: Authority, resource: Resource, http: &HttpClient) -> Self {
        let tenant_id = authority.tenant_id.clone();
        let keys = RefreshingCache::start(KeyFetcher { authority, http: http.clone() }, SystemTime::now);
        Self(Arc::new(Inner { tenant_id, resource, keys, throttle: Mutex::default() }))
    }

    /// The user that `token` was issued to, if it is valid at `now`.
    ///
    /// Waits while the first keys, or newer ones for an unknown key id, are being fetched: some seconds at most.
    ///
    /// # Errors
    ///
    /// [`Error`] when the token is invalid, lacks the scope, or cannot be verified.
    pub async fn validate(&self, token: &str, now: SystemTime) -> Result<User, Error> {
        let token = UnverifiedToken::parse(token)?;
        let keys = self.keys_with(&token.kid, now).await?;
        let claims = Claims::parse(&token.verify(&keys)?)?;
        claims.user(&keys, &self.0.tenant_id, &self.0.resource, now)
    }

    /// The keys, fetched again if `kid` is not among them and the throttle allows it.
    async fn keys_with(&self, kid: &str, now: SystemTime) -> Result<Arc<Keys>, Error> {
        let keys = self.0.keys.get(now).await.map_err(unavailable)?;
        if keys.contains(kid) || !self.may_fetch(&keys, now) {
            return Ok(keys);
        }
        self.0.keys.get_newer(|keys| !keys.contains(kid), now).await.map_err(unavailable)
    }

    fn may_fetch(&self, keys: &Keys, now: SystemTime) -> bool {
        // Poisoning is ignored: no update can panic halfway.
        let mut throttle = self.0.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.may_fetch(keys.fetched_at, now)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("resource", &self.0.resource).finish_non_exhaustive()
    }
}

fn unavailable(unavailable: Unavailable<KeysUnavailable>) -> Error {
    let (cause, retry_after) = match unavailable {
        Unavailable::Failed { error, retry_after } => (error, retry_after),
        Unavailable::Stopped => (KeysUnavailable::stopped(), Duration::ZERO),
    };
    Error::KeysUnavailable { cause, retry_after }
}

/// Limits how often unknown key ids cause a fetch, since a sender can invent them. Holds the time of the last such fetch.
#[derive(Debug, Default)]
struct RefreshThrottle(Option<SystemTime>);

impl RefreshThrottle {
    /// Whether a caller at `now` with keys of `fetched_at` may fetch newer ones, or wait for a fetch under way.
    fn may_fetch(&mut self, fetched_at: SystemTime, now: SystemTime) -> bool {
        match self.0 {
            // A fetch is under way.
            Some(last) if fetched_at < last => true,
            Some(last) if now < last + UNKNOWN_KEY_INTERVAL && last <= now => false,
            _ => {
                self.0 = Some(now.max(fetched_at));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_unknown_key_id_causes_a_fetch_and_the_next_after_an_interval() {
        let mut throttle = RefreshThrottle::default();
        assert!(throttle.may_fetch(at(0), at(1)));
        assert!(throttle.may_fetch(at(0), at(2)), "a fetch is under way");
        for now in [3, 4, 300] {
            assert!(!throttle.may_fetch(at(2), at(now)), "{now}");
        }
        assert!(throttle.may_fetch(at(2), at(301)));
        assert!(!throttle.may_fetch(at(302), at(303)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_block_fetches() {
        let mut throttle = RefreshThrottle::default();
        assert!(throttle.may_fetch(at(10_000), at(10_001)));
        assert!(throttle.may_fetch(at(10_002), at(5)));
    }
}
