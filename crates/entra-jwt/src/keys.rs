//! The signing keys of a tenant: fetched as its OpenID metadata say, and parsed from a JSON Web Key Set.
//!
//! See [OpenID Connect Discovery 1.0](https://openid.net/specs/openid-connect-discovery-1_0.html) and RFC 7517. A key set may hold
//! other keys as well; only those for signatures of this tenant are used.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_credentials::{Expiring, Fetch};
use azure_http::{
    ClockDifference, Connection, Failure, HttpClient, HttpError, HttpErrorKind, Method, Request, Retry, RetryState,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use url::Url;

use crate::authority::Authority;

/// Entra's documents have 2 KiB and 20 KiB.
const MAX_DOCUMENT_BYTES: usize = 256 * 1_024;
/// Entra publishes fewer than ten.
const MAX_KEYS: usize = 100;

/// A key that is withdrawn should not be accepted for long…
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// …but an issuer that is unreachable for a while should not lock users out.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Stands for the tenant in the issuer of keys that all tenants share.
const ANY_TENANT: &str = "{tenantid}";

/// The signing keys of a tenant, by key id.
pub(crate) struct Keys {
    /// Of tokens of version 2.0 and 1.0.
    issuers: [String; 2],
    by_id: HashMap<String, RsaPublicKeyComponents<Vec<u8>>>,
    pub(crate) fetched_at: SystemTime,
    /// How far the clock was from the issuer's when they were fetched.
    pub(crate) clock: Option<ClockDifference>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

/// A JSON Web Key, with Entra's `issuer`.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    issuer: Option<String>,
}

impl Keys {
    /// The usable keys of a key set that was fetched at `fetched_at`, or `None` if there are none.
    pub(crate) fn parse(set: &[u8], authority: &Authority, issuer: &str, fetched_at: SystemTime) -> Option<Self> {
        let set: KeySet = serde_json::from_slice(set).ok()?;
        let issuers = [issuer.to_owned(), authority.issuer_v1()];
        let is_ours = |jwk: &Jwk| {
            let issuer = jwk.issuer.as_deref();
            issuer.is_none_or(|issuer| issuers.iter().any(|own| own == issuer) || issuer.contains(ANY_TENANT))
        };
        let ours = set.keys.iter().filter(|jwk| is_ours(jwk));
        let by_id: HashMap<_, _> = ours.filter_map(Jwk::key).take(MAX_KEYS).collect();
        (!by_id.is_empty()).then_some(Self { issuers, by_id, fetched_at, clock: None })
    }

    pub(crate) fn contains(&self, kid: &str) -> bool {
        self.by_id.contains_key(kid)
    }

    /// Whether the key `kid` has signed `message`, with RS256.
    pub(crate) fn verify(&self, kid: &str, message: &[u8], signature: &[u8]) -> bool {
        let key = self.by_id.get(kid);
        key.is_some_and(|key| key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok())
    }

    /// Whether the tenant issues tokens as `issuer`.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|own| own == issuer)
    }
}

impl Jwk {
    fn key(&self) -> Option<(String, RsaPublicKeyComponents<Vec<u8>>)> {
        let signs = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let fits = self.alg.as_deref().is_none_or(|alg| alg == "RS256");
        if self.kty != "RSA" || !signs || !fits {
            return None;
        }
        let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let key = RsaPublicKeyComponents { n: number(&self.n)?, e: number(&self.e)? };
        Some((self.kid.clone()?, key))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("ids", &self.by_id.keys()).finish_non_exhaustive()
    }
}

/// Fetches [`Keys`]: first the metadata document, then the key set that it names.
pub(crate) struct KeyFetcher {
    pub(crate) authority: Authority,
    pub(crate) http: HttpClient,
}

/// The used properties of the OpenID metadata document.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl KeyFetcher {
    /// Attempts as the retry policy allows.
    async fn fetch_repeatedly(&self) -> Result<Keys, KeysUnavailable> {
        let mut state = RetryState::start(Retry::Idempotent);
        loop {
            let connection = state.connection();
            match state.attempt(self.fetch_keys(connection)).await {
                Err(error) if state.wait(error.failure()).await => {}
                outcome => return outcome,
            }
        }
    }

    /// One attempt.
    async fn fetch_keys(&self, connection: Connection) -> Result<Keys, KeysUnavailable> {
        let (metadata, _) = self.read(self.authority.metadata_url(), Document::Metadata, connection).await?;
        let discovered = self.discover(&metadata);
        let (issuer, jwks_uri) = discovered.ok_or(KeysUnavailable::new(Document::Metadata, Reason::Unusable))?;
        let (set, clock) = self.read(jwks_uri, Document::Keys, connection).await?;
        let keys = Keys::parse(&set, &self.authority, &issuer, SystemTime::now());
        Ok(Keys { clock, ..keys.ok_or(KeysUnavailable::new(Document::Keys, Reason::Unusable))? })
    }

    /// The issuer and the address of the key set, if both can be trusted.
    fn discover(&self, metadata: &[u8]) -> Option<(String, Url)> {
        let Metadata { issuer, jwks_uri } = serde_json::from_slice(metadata).ok()?;
        let jwks_uri = Url::parse(&jwks_uri).ok().filter(|url| self.authority.is_trusted_url(url))?;
        self.authority.is_issuer(&issuer).then_some((issuer, jwks_uri))
    }

    async fn read(
        &self,
        url: Url,
        document: Document,
        connection: Connection,
    ) -> Result<(Vec<u8>, Option<ClockDifference>), KeysUnavailable> {
        let failed = |error: HttpError| KeysUnavailable { document, ..error.into() };
        let request = Request { connection, ..Request::new(Method::GET, url) };
        let response = self.http.send(request).await.map_err(failed)?;
        if response.status() != 200 {
            return Err(KeysUnavailable::new(document, Reason::Status(response.status())));
        }
        let clock = response.clock_difference(SystemTime::now());
        Ok((response.body(MAX_DOCUMENT_BYTES).await.map_err(failed)?, clock))
    }
}

impl Fetch for KeyFetcher {
    type Value = Arc<Keys>;
    type Error = KeysUnavailable;

    fn name(&self) -> &str {
        "the keys that Microsoft Entra ID signs access tokens with"
    }

    async fn fetch(&self) -> Result<Expiring<Arc<Keys>>, KeysUnavailable> {
        let keys = self.fetch_repeatedly().await?;
        let fetched_at = keys.fetched_at;
        Ok(Expiring::new(Arc::new(keys), fetched_at + RENEWAL_INTERVAL, fetched_at + LIFETIME))
    }
}

/// The signing keys of a tenant cannot be had. Of a response only its status is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {document} of the tenant {reason}")]
pub struct KeysUnavailable {
    document: Document,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Document {
    #[error("OpenID metadata")]
    Metadata,
    #[error("signing keys")]
    Keys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("cannot be reached")]
    Unreachable,
    #[error("did not come in time")]
    TimedOut,
    #[error("answered {0}; check the ids of tenant and cloud")]
    Status(u16),
    #[error("are malformed or of another tenant; check the ids of tenant and cloud")]
    Unusable,
    #[error("are no longer fetched")]
    Stopped,
}

impl KeysUnavailable {
    /// The background task that fetches the keys has ended.
    pub(crate) fn stopped() -> Self {
        Self::new(Document::Keys, Reason::Stopped)
    }

    fn new(document: Document, reason: Reason) -> Self {
        Self { document, reason }
    }

    /// What the retry policy has to know.
    fn failure(&self) -> Failure {
        match self.reason {
            Reason::Unreachable => Failure::Unreachable,
            Reason::TimedOut => Failure::TimedOut,
            Reason::Status(status) => Failure::Status { status, retry_after: None },
            Reason::Unusable | Reason::Stopped => Failure::Permanent,
        }
    }
}

impl From<HttpError> for KeysUnavailable {
    fn from(error: HttpError) -> Self {
        let reason = match error.kind() {
            HttpErrorKind::TimedOut => Reason::TimedOut,
            HttpErrorKind::BodyTooLarge => Reason::Unusable,
            _ => Reason::Unreachable,
        };
        Self::new(Document::Keys, reason)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::{Value, json};

    use super::*;
    use crate::test_support::{Signer, authority};

    fn parse(keys: &Value) -> Option<Keys> {
        let set = json!({ "keys": keys }).to_string();
        Keys::parse(set.as_bytes(), &authority(), "https://issuer/", UNIX_EPOCH)
    }

    fn with(jwk: &Value, name: &str, value: Value) -> Value {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    }

    #[test]
    fn only_keys_for_signatures_of_this_tenant_are_used() {
        let (right, _) = Signer::pair();
        let jwk = right.jwk();
        let own = authority().issuer_v1();
        for usable in [
            jwk.clone(),
            with(&jwk, "use", Value::Null),
            with(&jwk, "alg", json!("RS256")),
            with(&jwk, "x5c", json!(["…"])),
            with(&jwk, "issuer", json!("https://issuer/")),
            with(&jwk, "issuer", json!(own)),
            with(&jwk, "issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
        ] {
            assert!(parse(&json!([usable])).is_some(), "{usable}");
        }
        for unusable in [
            with(&jwk, "kty", json!("EC")),
            with(&jwk, "use", json!("enc")),
            with(&jwk, "alg", json!("HS256")),
            with(&jwk, "kid", Value::Null),
            with(&jwk, "n", json!("%")),
            with(&jwk, "e", Value::Null),
            with(&jwk, "issuer", json!("https://sts.windows.net/another-tenant/")),
        ] {
            assert!(parse(&json!([unusable])).is_none(), "{unusable}");
            assert!(parse(&json!([unusable, jwk])).unwrap().contains(&right.kid));
        }
    }

    #[test]
    fn a_key_set_is_cut_at_its_limit_and_a_malformed_one_is_rejected() {
        let (right, _) = Signer::pair();
        let many: Vec<_> = (0..MAX_KEYS + 10).map(|id| with(&right.jwk(), "kid", json!(id.to_string()))).collect();
        assert_eq!(parse(&json!(many)).unwrap().by_id.len(), MAX_KEYS);
        for wrong in [json!([]), json!({}), json!("x"), json!([1])] {
            assert!(parse(&wrong).is_none(), "{wrong}");
        }
    }

    /// How the test tenant treats its first request for one of the documents.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum First {
        Stalls(Document),
        Fails(Document),
        IsEndless(Document),
        Works,
    }

    /// A tenant whose documents are as they should be from the second request on; what its keys are fetched to.
    async fn fetch(first: First) -> Result<Keys, KeysUnavailable> {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};

        use axum::extract::Request;
        use axum::http::StatusCode;
        use axum::response::IntoResponse as _;

        let (listener, port) = test_support::http::listen().await;
        let instance = format!("http://127.0.0.1:{port}/");
        let authority = Authority::new(&instance, crate::test_support::TENANT).unwrap();
        let issuer = format!("{instance}{}/v2.0", crate::test_support::TENANT);
        let metadata = json!({"issuer": issuer, "jwks_uri": format!("{instance}keys")}).to_string();
        let keys = json!({"keys": [Signer::pair().0.jwk()]}).to_string();
        let treated = Arc::new(AtomicBool::new(false));
        let respond = async move |request: Request| {
            let is_keys = request.uri().path() == "/keys";
            let (document, text) = if is_keys { (Document::Keys, keys) } else { (Document::Metadata, metadata) };
            let is_first = [First::Stalls(document), First::Fails(document)].contains(&first)
                && !treated.swap(true, Ordering::SeqCst);
            match first {
                First::Stalls(_) if is_first => std::future::pending().await,
                First::Fails(_) if is_first => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                First::IsEndless(endless) if endless == document => vec![b' '; MAX_DOCUMENT_BYTES + 1].into_response(),
                _ => text.into_response(),
            }
        };
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(respond)).into_future());
        let http = HttpClient::new(&azure_http::HttpOptions::default()).unwrap();
        let fetcher = KeyFetcher { authority, http };
        fetcher.fetch_repeatedly().await
    }

    #[tokio::test]
    async fn a_document_that_stalls_or_fails_once_is_fetched_again_and_an_endless_one_is_refused() {
        use Document::{Keys, Metadata};
        let (a, b, c, d) = tokio::join!(
            fetch(First::Stalls(Metadata)),
            fetch(First::Stalls(Keys)),
            fetch(First::Fails(Metadata)),
            fetch(First::Fails(Keys)),
        );
        for fetched in [a, b, c, d, fetch(First::Works).await] {
            assert!(fetched.unwrap().contains("one"));
        }
        for document in [Metadata, Keys] {
            let refused = fetch(First::IsEndless(document)).await.unwrap_err();
            assert_eq!(refused, KeysUnavailable::new(document, Reason::Unusable));
        }
    }
}
