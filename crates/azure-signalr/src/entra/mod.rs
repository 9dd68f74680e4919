//! An identity of Microsoft Entra ID at work: a token to call the service with, and a key to sign clients' tokens with.
//!
//! Both are kept, and renewed in the background ahead of their end, so that after the first call nobody waits for either.
//!
//! # Design
//!
//! Clients' tokens are signed here, with a key the service lends to the identity, instead of asking the service for each of
//! them (`:generateToken`). Measured behind the handler, optimised, over loopback on two cores: a negotiation takes 105 µs, HTTP
//! and all, when it signs here; a call that makes one REST call to a service that does nothing takes 178 µs, to which a real network
//! adds its round trip, and the service its share. A key is two calls an hour, whatever the number of visitors, and no visitor waits
//! for them. `:generateToken` also cannot carry further claims.
//!
//! Tokens are the business of `azure_credentials`, over this crate's own HTTP client. Keys are kept as it keeps tokens.

mod access_key;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use azure_credentials::{CredentialSource, RefreshingCache, TokenCache, Unavailable};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::entra::access_key::Keys;
use crate::error::{Error, Kind};
use crate::secret::Secret;
use crate::token::Signer;

/// What the service's tokens are for. One and the same for every service in the public cloud.
const SCOPE: &str = "https://signalr.azure.com/.default";

/// Whether identities can be used in this build.
pub(crate) const SUPPORTED: bool = true;

/// The identity of one service's caller. It works in the runtime it was first used in, until it is dropped.
pub(crate) struct Entra {
    server: Url,
    http: azure_http::HttpClient,
    tokens: TokenCache,
    keys: OnceLock<RefreshingCache<Arc<Signer>, Error>>,
}

impl Entra {
    /// `server` is where REST calls go. Nothing is asked for yet.
    pub(crate) fn new(
        identity: &CredentialSource,
        server: &Url,
        http: &azure_http::HttpClient,
    ) -> Result<Self, Error> {
        let (server, http, tokens) = (server.clone(), http.clone(), TokenCache::new(identity, SCOPE, http));
        Ok(Self { server, http, tokens, keys: OnceLock::new() })
    }

    /// Asks for token and key, unless that was done before, and returns at once.
    pub(crate) fn warm_up(&self) {
        self.tokens.warm_up();
        self.keys();
    }

    /// The token for REST calls. Waits only while there is none and the first answer is still to come.
    pub(crate) async fn token(&self, now: SystemTime, deadline: Instant) -> Result<Secret, Error> {
        // Whoever sends will soon sign as well.
        self.keys();
        Ok(Secret::new(self.tokens.get(now, deadline).await?.expose()))
    }

    /// What signs the tokens of clients. Waits as `token` does.
    pub(crate) async fn signer(&self, now: SystemTime, deadline: Instant) -> Result<Arc<Signer>, Error> {
        let keys = self.keys();
        if let Some(signer) = keys.cached(now) {
            return Ok(signer);
        }
        // A key takes a token, and why there is none is said by whoever should have it.
        self.tokens.get(now, deadline).await?;
        match timeout_at(deadline, keys.get(now)).await {
            Ok(Ok(signer)) => Ok(signer),
            Ok(Err(Unavailable::Failed { error, retry_after })) => Err(error.until(retry_after)),
            Ok(Err(Unavailable::Stopped)) => Err(Kind::Unusable.into()),
            Err(_late) => Err(Kind::TimedOut.into()),
        }
    }

    fn keys(&self) -> &RefreshingCache<Arc<Signer>, Error> {
        self.keys.get_or_init(|| {
            let keys = Keys::new(&self.server, self.http.as_reqwest(), self.tokens.clone());
            RefreshingCache::start(keys, SystemTime::now)
        })
    }
}
