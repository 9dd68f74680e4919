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
//! Tokens come from `azure_identity`. Its own HTTP client would bring a second TLS stack that reads the system's certificates, of
//! which there may be none, so it gets ours through `HttpClient`; see `transport`. What it gives is kept here once more, since
//! its own cache renews on the path of whichever call comes first within the last five minutes, and lets all others wait for that one.
//! It reads for itself what a platform puts into the environment (`IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `AZURE_AUTHORITY_HOST`).

mod access_key;
mod credential;
mod keeper;
mod kept;
mod transport;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::entra::access_key::Keys;
use crate::entra::credential::Tokens;
use crate::entra::keeper::Keeper;
use crate::error::{Error, Kind, Why};
use crate::identity::Identity;
use crate::secret::Secret;
use crate::token::Signer;

/// Whether identities can be used in this build.
pub(crate) const SUPPORTED: bool = true;

/// The identity of one service's caller. It works in the runtime it was first used in, until it is dropped.
pub(crate) struct Entra {
    identity: Identity,
    server: Url,
    http: reqwest::Client,
    keepers: OnceLock<Keepers>,
}

struct Keepers {
    tokens: Keeper<Arc<Secret>>,
    keys: Keeper<Arc<Signer>>,
}

impl Entra {
    /// `server` is where REST calls go. Nothing is asked for yet.
    pub(crate) fn new(identity: &Identity, server: &Url, http: &reqwest::Client) -> Result<Self, Error> {
        let (identity, server, http) = (identity.clone(), server.clone(), http.clone());
        Ok(Self { identity, server, http, keepers: OnceLock::new() })
    }

    /// Asks for token and key, unless that was done before, and returns at once.
    pub(crate) fn warm_up(&self) {
        self.keepers();
    }

    /// The token for REST calls. Waits only while there is none and the first answer is still to come.
    pub(crate) async fn token(&self, now: SystemTime, deadline: Instant) -> Result<Arc<Secret>, Error> {
        let tokens = &self.keepers().tokens;
        if let Some(token) = tokens.look(now) {
            return Ok(token);
        }
        let token = timeout_at(deadline, tokens.get(now)).await;
        token.unwrap_or_else(|_| {
            Err(Kind::NoToken { issuer: self.identity.issuer(), why: Why::TimedOut }.into())
        })
    }

    /// What signs the tokens of clients. Waits as `token` does.
    pub(crate) async fn signer(&self, now: SystemTime, deadline: Instant) -> Result<Arc<Signer>, Error> {
        let keys = &self.keepers().keys;
        if let Some(signer) = keys.look(now) {
            return Ok(signer);
        }
        // A key takes a token, and why there is none is said by whoever should have it.
        self.token(now, deadline).await?;
        timeout_at(deadline, keys.get(now)).await.unwrap_or_else(|_| Err(Kind::TimedOut.into()))
    }

    fn keepers(&self) -> &Keepers {
        self.keepers.get_or_init(|| {
            let tokens = Keeper::start(Tokens::new(&self.identity, &self.http), SystemTime::now);
            let keys = Keys::new(&self.server, &self.http, tokens.clone());
            Keepers { keys: Keeper::start(keys, SystemTime::now), tokens }
        })
    }
}
