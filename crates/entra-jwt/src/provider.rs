//! Where the keys are: the tenant's OpenID metadata say it, and how the tenant calls itself.
//!
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>. Nothing of an answer is repeated but its status.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_credentials::{Fetch, Kept};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use crate::authority::Authority;
use crate::keys::Keys;
use crate::no_keys::{Document, NoKeys, Why};

/// For both documents.
const DEADLINE: Duration = Duration::from_secs(6);
/// Entra's are 2 KiB and 20 KiB.
const LARGEST_DOCUMENT: usize = 256 * 1_024;

/// Keys that are taken out of use should not count for long…
const RENEWAL: Duration = Duration::from_secs(60 * 60);
/// …but an issuer that is away for a while should lock nobody out.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Fetches keys.
pub(crate) struct Provider {
    authority: Authority,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    pub(crate) fn new(authority: Authority, http: reqwest::Client) -> Self {
        Self { authority, http }
    }

    async fn keys(&self) -> Result<Keys, NoKeys> {
        let metadata = self.read(self.authority.metadata(), Document::Metadata).await?;
        let (issuer, jwks_uri) =
            self.place(&metadata).ok_or(NoKeys::new(Document::Metadata, Why::Unusable))?;
        let set = self.read(jwks_uri, Document::Keys).await?;
        let keys = Keys::parse(&set, &self.authority, &issuer, SystemTime::now());
        keys.ok_or(NoKeys::new(Document::Keys, Why::Unusable))
    }

    /// How the tenant calls itself, and where its keys are.
    fn place(&self, metadata: &[u8]) -> Option<(String, Url)> {
        let Metadata { issuer, jwks_uri } = serde_json::from_slice(metadata).ok()?;
        let jwks_uri = Url::parse(&jwks_uri).ok().filter(|url| self.authority.leads_to(url))?;
        self.authority.is_issuer(&issuer).then_some((issuer, jwks_uri))
    }

    async fn read(&self, url: Url, document: Document) -> Result<Vec<u8>, NoKeys> {
        let failed = |why| NoKeys::new(document, why);
        let broken =
            |error: reqwest::Error| failed(if error.is_timeout() { Why::TimedOut } else { Why::Unreachable });
        let mut response = self.http.get(url).send().await.map_err(broken)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(failed(Why::Answered(response.status().as_u16())));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            text.extend_from_slice(&chunk);
            if text.len() > LARGEST_DOCUMENT {
                return Err(failed(Why::Unusable));
            }
        }
        Ok(text)
    }
}

impl Fetch for Provider {
    type Value = Arc<Keys>;
    type Error = NoKeys;

    fn name(&self) -> &str {
        "the keys that Microsoft Entra ID signs access tokens with"
    }

    async fn fetch(&self) -> Result<Kept<Arc<Keys>>, NoKeys> {
        let late = |_| Err(NoKeys::new(Document::Keys, Why::TimedOut));
        let keys = timeout(DEADLINE, self.keys()).await.unwrap_or_else(late)?;
        let fetched = keys.fetched();
        Ok(Kept::new(Arc::new(keys), fetched + RENEWAL, fetched + LIFETIME))
    }
}
