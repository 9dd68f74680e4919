//! What callers see: tokens in, people out.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use azure_credentials::{Keeper, Missing};

use crate::authority::Authority;
use crate::claims::Claims;
use crate::error::Error;
use crate::hurry::Hurry;
use crate::jws::Unverified;
use crate::keys::Keys;
use crate::no_keys::{Document, NoKeys, Why};
use crate::provider::Provider;
use crate::resource::Resource;
use crate::user::User;

/// Validates tokens of one tenant for one app. Clones share its keys, and are cheap.
#[derive(Clone)]
pub struct Validator(Arc<Inner>);

struct Inner {
    tenant_id: String,
    resource: Resource,
    keys: Keeper<Arc<Keys>, NoKeys>,
    hurry: Mutex<Hurry>,
}

impl Validator {
    /// Takes tokens of `authority` for `resource`. Keys are fetched over `http` from now on, until the last clone is dropped. The client
    /// should follow no redirect: where the keys are is said in the metadata and nowhere else.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(authority: Authority, resource: Resource, http: &reqwest::Client) -> Self {
        let tenant_id = authority.tenant_id().to_owned();
        let keys = Keeper::start(Provider::new(authority, http.clone()), SystemTime::now);
        Self(Arc::new(Inner { tenant_id, resource, keys, hurry: Mutex::default() }))
    }

    /// Whom `token` lets in at `now`. It waits while there are no keys yet, or newer ones are on their way: some seconds at most.
    ///
    /// # Errors
    ///
    /// When it is not good, not good for this, or cannot be checked.
    pub async fn validate(&self, token: &str, now: SystemTime) -> Result<User, Error> {
        let token = Unverified::parse(token)?;
        let keys = self.keys_with(token.kid(), now).await?;
        let claims = Claims::parse(&token.verify(&keys)?)?;
        claims.user(&keys, &self.0.tenant_id, &self.0.resource, now)
    }

    /// The keys, with the one called `kid` among them if there is any such.
    async fn keys_with(&self, kid: &str, now: SystemTime) -> Result<Arc<Keys>, Error> {
        let keys = self.0.keys.get(now).await.map_err(missing)?;
        if keys.get(kid).is_some() || !self.may_be_newer(&keys, now) {
            return Ok(keys);
        }
        self.0.keys.newer(|keys| keys.get(kid).is_none(), now).await.map_err(missing)
    }

    fn may_be_newer(&self, keys: &Keys, now: SystemTime) -> bool {
        // Every change is a single assignment, so a panic elsewhere cannot have left it half done.
        self.0.hurry.lock().unwrap_or_else(PoisonError::into_inner).may(keys.fetched(), now)
    }
}

fn missing(missing: Missing<NoKeys>) -> Error {
    match missing {
        Missing::Failed { error, wait } => Error::NoKeys { why: error, wait },
        Missing::Ended => {
            Error::NoKeys { why: NoKeys::new(Document::Keys, Why::Ended), wait: Duration::ZERO }
        }
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("resource", &self.0.resource).finish_non_exhaustive()
    }
}
