//! `GET /api/auth/accessKey`: a key the service lends to an identity, to sign the tokens of clients with.
//!
//! A token names the key it was signed with in `kid`, since the service has many of them and forgets each after a while.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_credentials::{Expiring, Fetch, Token, TokenCache};
use serde::Deserialize;
use url::Url;

use crate::error::{Error, Kind};
use crate::rest;
use crate::token::Signer;

/// The version of the REST API that brought the operation.
const API_VERSION: &str = "2023-07-01";

/// For one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// The service forgets a key it lent after 90 minutes by default, and clients' tokens live for one hour: a key that is replaced after
/// half an hour outlives every token that was signed with it.
const LIFETIME: Duration = Duration::from_secs(90 * 60);
const RENEWAL: Duration = Duration::from_secs(30 * 60);

/// Gets keys.
pub(super) struct Keys {
    http: reqwest::Client,
    url: Url,
    tokens: TokenCache,
}

impl Keys {
    /// From the service at `server`, for whom the tokens belong to.
    pub(super) fn new(server: &Url, http: &reqwest::Client, tokens: TokenCache) -> Self {
        let mut url = rest::under(server, &["api", "auth", "accessKey"]);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Self { http: http.clone(), url, tokens }
    }

    async fn ask(&self, token: &Token) -> Result<Signer, Error> {
        let request = self.http.get(self.url.clone()).bearer_auth(token.expose());
        let response = request.send().await.map_err(Error::from_http)?;
        let response = rest::accepted(response).map_err(Kind::of_identity)?;
        let body = response.bytes().await.map_err(Error::from_http)?;
        // What does not fit may hold a key all the same, so the parser's words stay here.
        let lent: Lent = serde_json::from_slice(&body).map_err(|_| Kind::NoKey)?;
        Ok(Signer::named(&lent.access_key, &lent.key_id))
    }
}

impl Fetch for Keys {
    type Value = Arc<Signer>;
    type Error = Error;

    fn name(&self) -> &str {
        "a key to sign clients' tokens with"
    }

    async fn fetch(&self) -> Result<Expiring<Arc<Signer>>, Error> {
        let token = self.tokens.wait(SystemTime::now).await?;
        let signer = tokio::time::timeout(DEADLINE, self.ask(&token)).await;
        let signer = signer.unwrap_or_else(|_| Err(Kind::TimedOut.into()))?;
        Ok(kept(Arc::new(signer), SystemTime::now()))
    }
}

/// A key that came at `now`.
fn kept<T>(key: T, now: SystemTime) -> Expiring<T> {
    Expiring::new(key, now + RENEWAL, now + LIFETIME)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Lent {
    access_key: String,
    key_id: String,
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use azure_credentials::Freshness::{Expired, Fresh, Renew};

    use super::*;

    fn at(minutes: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(minutes * 60.0)
    }

    #[test]
    fn a_key_outlives_every_token_it_signs() {
        let key = kept((), at(0.0));
        let freshness = [29.9, 30.0, 89.9, 90.0].map(|minutes| key.freshness(at(minutes)));
        assert_eq!(freshness, [Fresh, Renew, Renew, Expired]);
        let last_signed = at(0.0) + RENEWAL;
        assert_eq!(key.freshness(last_signed + Duration::from_secs(3_599)), Renew);
    }
}
