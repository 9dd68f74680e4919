//! `GET /api/auth/accessKey`: a key the service lends to an identity, to sign the tokens of clients with.
//!
//! A token names the key it was signed with in `kid`, since the service has many of them and forgets each after a while.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use url::Url;

use crate::entra::keeper::{Fetch, Keeper};
use crate::entra::kept::Kept;
use crate::error::{Error, Kind};
use crate::rest;
use crate::secret::Secret;
use crate::token::Signer;

/// The version of the REST API that brought the operation.
const API_VERSION: &str = "2023-07-01";

/// For one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Gets keys.
pub(super) struct Keys {
    http: reqwest::Client,
    url: Url,
    tokens: Keeper<Arc<Secret>>,
}

impl Keys {
    /// From the service at `server`, for whom the tokens belong to.
    pub(super) fn new(server: &Url, http: &reqwest::Client, tokens: Keeper<Arc<Secret>>) -> Self {
        let mut url = rest::under(server, &["api", "auth", "accessKey"]);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Self { http: http.clone(), url, tokens }
    }

    async fn ask(&self, token: &Secret) -> Result<Signer, Error> {
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
    const NAME: &'static str = "a key to sign clients' tokens with";

    async fn fetch(&self) -> Result<Kept<Arc<Signer>>, Error> {
        let token = self.tokens.wait(SystemTime::now).await?;
        let signer = tokio::time::timeout(DEADLINE, self.ask(&token)).await;
        let signer = signer.unwrap_or_else(|_| Err(Kind::TimedOut.into()))?;
        Ok(Kept::key(Arc::new(signer), SystemTime::now()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Lent {
    access_key: String,
    key_id: String,
}
