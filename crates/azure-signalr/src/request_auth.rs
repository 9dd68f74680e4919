//! What requests are authenticated with and clients' tokens signed with: an access key, or an identity of Microsoft Entra ID.
//!
//! # Design
//!
//! With an identity, clients' tokens are signed here, with a key that the service lends to it, instead of calling the service for each
//! of them (`:generateToken`). Measured behind the handler, optimised, over loopback on two cores: a negotiation takes 105 µs, HTTP
//! and all, when it signs here; one that makes one REST call to a service that does nothing takes 178 µs, to which a real network
//! adds its round trip, and the service its share. A key is two calls an hour, and no visitor waits for them. `:generateToken` also
//! cannot carry further claims.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use azure_credentials::{Expiring, Fetch, RefreshingCache, TokenCache, Unavailable};
use azure_http::{HttpErrorKind, Method, Retry, RetryState, Secret, join_segments};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::access_token::{Claims, Signer};
use crate::connection_string::{ConnectionString, Credential};
use crate::error::{Error, Kind};
use crate::transport::Transport;

/// The scope of the service's tokens, the same for every service in the public cloud.
const SCOPE: &str = "https://signalr.azure.com/.default";

/// The version of the REST API that brought `GET /api/auth/accessKey`.
const KEY_API_VERSION: &str = "2023-07-01";
/// The longest response with a key that is read; it takes a few hundred bytes.
const MAX_KEY_BYTES: usize = 64 * 1_024;
/// The service forgets a key it lent after 90 minutes by default, and clients' tokens live for one hour: a key that is replaced after
/// half an hour outlives every token that was signed with it.
const KEY_LIFETIME: Duration = Duration::from_secs(90 * 60);
const KEY_REFRESH_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// Authenticates requests and signs clients' tokens.
pub(crate) enum RequestAuth {
    Key(Signer),
    Identity(IdentityAuth),
}

impl RequestAuth {
    pub(crate) fn new(connection: &ConnectionString, transport: &Transport) -> Self {
        match &connection.credential {
            Credential::AccessKey(key) => Self::Key(Signer::new(key.expose())),
            Credential::Identity(identity) => Self::Identity(IdentityAuth {
                server: connection.server_endpoint().clone(),
                transport: transport.clone(),
                tokens: TokenCache::new(identity, SCOPE, &transport.0),
                keys: OnceLock::new(),
            }),
        }
    }

    /// Requests token and key of an identity, unless that was done before, and returns at once.
    pub(crate) fn warm_up(&self) {
        if let Self::Identity(identity) = self {
            identity.tokens.warm_up();
            identity.keys();
        }
    }

    /// The token for a REST call: signed for its address, or the identity's own, which is for all of them.
    pub(crate) async fn token(&self, audience: &Url, now: SystemTime, deadline: Instant) -> Result<Secret, Error> {
        match self {
            Self::Key(signer) => Ok(Secret::new(signer.sign(&Claims::new(audience.as_str(), now)))),
            Self::Identity(identity) => {
                // What sends will soon sign as well.
                identity.keys();
                Ok(Secret::new(identity.tokens.get(now, deadline).await?.expose()))
            }
        }
    }

    /// Signs the token of a client. With an identity, waits only while there is no key and the first response is still to come.
    pub(crate) async fn sign(&self, claims: &Claims<'_>, now: SystemTime, deadline: Instant) -> Result<String, Error> {
        match self {
            Self::Key(signer) => Ok(signer.sign(claims)),
            Self::Identity(identity) => Ok(identity.signer(now, deadline).await?.sign(claims)),
        }
    }

    /// The meaning of an error response depends on how the request was authenticated.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if let Self::Identity(_) = self { error.of_identity() } else { error }
    }
}

/// The tokens of an identity and the keys lent to it. It works in the runtime it was first used in, until it is dropped.
pub(crate) struct IdentityAuth {
    server: Url,
    transport: Transport,
    tokens: TokenCache,
    keys: OnceLock<RefreshingCache<Arc<Signer>, Error>>,
}

impl IdentityAuth {
    async fn signer(&self, now: SystemTime, deadline: Instant) -> Result<Arc<Signer>, Error> {
        let keys = self.keys();
        if let Some(signer) = keys.cached(now) {
            return Ok(signer);
        }
        // A key takes a token, and the source of tokens says best why there is none.
        self.tokens.get(now, deadline).await?;
        match timeout_at(deadline, keys.get(now)).await {
            Ok(Ok(signer)) => Ok(signer),
            Ok(Err(Unavailable::Failed { error, retry_after })) => {
                Err(Error { retry_after: Some(retry_after), ..error })
            }
            Ok(Err(Unavailable::Stopped)) => Err(Kind::Http(HttpErrorKind::Unusable).into()),
            Err(_elapsed) => Err(Kind::Http(HttpErrorKind::TimedOut).into()),
        }
    }

    fn keys(&self) -> &RefreshingCache<Arc<Signer>, Error> {
        self.keys.get_or_init(|| {
            let mut url = join_segments(&self.server, &["api", "auth", "accessKey"]);
            url.query_pairs_mut().append_pair("api-version", KEY_API_VERSION);
            let (transport, tokens) = (self.transport.clone(), self.tokens.clone());
            RefreshingCache::start(KeyFetcher { transport, url, tokens }, SystemTime::now)
        })
    }
}

/// Gets keys with `GET /api/auth/accessKey`.
///
/// A token names the key it was signed with in `kid`, since the service has many of them and forgets each after a while.
struct KeyFetcher {
    transport: Transport,
    url: Url,
    tokens: TokenCache,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LentKey {
    access_key: String,
    key_id: String,
}

impl KeyFetcher {
    async fn request(&self, token: &Secret) -> Result<Signer, Error> {
        let mut state = RetryState::start(Retry::Idempotent);
        let body = loop {
            let (connection, now) = (state.connection(), SystemTime::now());
            let get = self.transport.call(Method::GET, &self.url, token, MAX_KEY_BYTES, connection, now);
            match state.attempt(get).await {
                Ok(body) => break body,
                Err(error) if state.wait(error.failure()).await => {}
                Err(error) => return Err(error.of_identity()),
            }
        };
        // A body of another form may hold a key all the same, so the parser's words are dropped.
        let LentKey { access_key, key_id } = serde_json::from_slice(&body).map_err(|_| Kind::NoKey)?;
        Ok(Signer::named(&access_key, &key_id))
    }
}

impl Fetch for KeyFetcher {
    type Value = Arc<Signer>;
    type Error = Error;

    fn name(&self) -> &str {
        "a key to sign clients' tokens with"
    }

    async fn fetch(&self) -> Result<Expiring<Arc<Signer>>, Error> {
        let token = Secret::new(self.tokens.wait(SystemTime::now).await?.expose());
        Ok(expiring(Arc::new(self.request(&token).await?), SystemTime::now()))
    }
}

/// A key that came at `now`.
fn expiring<T>(key: T, now: SystemTime) -> Expiring<T> {
    Expiring::new(key, now + KEY_REFRESH_INTERVAL, now + KEY_LIFETIME)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use azure_credentials::Freshness::{Expired, Fresh, Renew};

    use super::*;
    use crate::access_token::TOKEN_LIFETIME;

    fn at(minutes: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(minutes * 60.0)
    }

    #[test]
    fn a_key_outlives_every_token_it_signs() {
        let key = expiring((), at(0.0));
        let freshness = [29.9, 30.0, 89.9, 90.0].map(|minutes| key.freshness(at(minutes)));
        assert_eq!(freshness, [Fresh, Renew, Renew, Expired]);
        let last_signed = at(0.0) + KEY_REFRESH_INTERVAL;
        assert_eq!(key.freshness(last_signed + TOKEN_LIFETIME - Duration::from_secs(1)), Renew);
    }
}
