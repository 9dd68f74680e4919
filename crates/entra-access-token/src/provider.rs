//! Where the keys are: the tenant's OpenID metadata say it, and how the tenant calls itself.
//!
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>. Nothing of an answer is repeated but its status.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_entra::{Fetch, Kept};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use crate::authority::Authority;
use crate::keys::Keys;

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

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKeys {
    document: Document,
    why: Why,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The OpenID metadata of the tenant.
    Metadata,
    /// The keys that they lead to.
    Keys,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nobody answered.
    Unreachable,
    /// The time for both documents was up.
    TimedOut,
    /// The answer was no: its status.
    Answered(u16),
    /// It is none, or none of this tenant.
    Unusable,
    /// Nobody asks any more: the runtime has ended in which that was done.
    Ended,
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

impl NoKeys {
    pub(crate) fn new(document: Document, why: Why) -> Self {
        Self { document, why }
    }

    /// What was asked for.
    #[must_use]
    pub fn document(&self) -> Document {
        self.document
    }

    /// What was wrong.
    #[must_use]
    pub fn why(&self) -> Why {
        self.why
    }
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.document {
            Document::Metadata => "the OpenID metadata of the tenant ",
            Document::Keys => "the signing keys of the tenant ",
        })?;
        match self.why {
            Why::Unreachable => f.write_str("cannot be reached"),
            Why::TimedOut => f.write_str("did not come in time"),
            Why::Answered(status) => write!(f, "answered {status}; check the ids of tenant and cloud"),
            Why::Unusable => f.write_str("are not what was agreed; check the ids of tenant and cloud"),
            Why::Ended => f.write_str("are asked for by nobody any more"),
        }
    }
}

impl std::error::Error for NoKeys {}
