//! `TokenCache`: the access tokens of one identity for one scope, cached and renewed ahead of their expiry.
//!
//! No token is requested before the first call of [`TokenCache::warm_up`] or [`TokenCache::get`].

use std::fmt;
use std::iter::successors;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use azure_core::credentials::{AccessToken, Secret as AzureSecret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_http::{ATTEMPT_TIMEOUT, HttpClient, Secret};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::credential_source::{CredentialSource, Source};
use crate::expiring::Expiring;
use crate::refreshing_cache::{Fetch, RefreshingCache, Unavailable};
use crate::token_error::{Reason, TokenError};
use crate::transport::transport;

/// For one token request with its retries. `az` alone takes seconds.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Far more than a token or an error takes.
const MAX_RESPONSE_BYTES: usize = 64 * 1_024;

/// Retries within one token request; after that the cache waits before the next one.
const MAX_RETRIES: u32 = 2;

/// How long a client of `azure_core` waits for a token.
const PIPELINE_TIMEOUT: Duration = Duration::from_secs(8);

/// An access token, good for all that its identity may do. It is never printed, and clones are cheap.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    expires_at: SystemTime,
}

impl Token {
    /// The token's text, to be sent to its audience only.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }
}

/// The access tokens of one identity for one scope, each renewed ahead of its expiry. Clones share them.
///
/// A background task of the runtime in which it is first used requests the tokens, until the last clone is dropped.
///
/// It is also a [`TokenCredential`], for clients that are built on `azure_core`.
#[derive(Clone)]
pub struct TokenCache(Arc<Inner>);

struct Inner {
    source: CredentialSource,
    scope: &'static str,
    http: HttpClient,
    cache: OnceLock<RefreshingCache<Token, TokenError>>,
}

impl TokenCache {
    /// Tokens for `scope`, like `https://storage.azure.com/.default`, requested over `http`. Sends nothing yet.
    #[must_use]
    pub fn new(source: &CredentialSource, scope: &'static str, http: &HttpClient) -> Self {
        let (source, http, cache) = (source.clone(), http.clone(), OnceLock::new());
        Self(Arc::new(Inner { source, scope, http, cache }))
    }

    /// Starts to request the first token, unless that was done before, and returns at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn warm_up(&self) {
        self.cache();
    }

    /// A token that is valid at `now`. Waits at most until `deadline`, and only while the first token is being requested.
    ///
    /// # Errors
    ///
    /// [`TokenError`] when there is no token.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn get(&self, now: SystemTime, deadline: Instant) -> Result<Token, TokenError> {
        let cache = self.cache();
        if let Some(token) = cache.cached(now) {
            return Ok(token);
        }
        match timeout_at(deadline, cache.get(now)).await {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(Unavailable::Failed { error, retry_after })) => {
                Err(TokenError { retry_after: Some(retry_after), ..error })
            }
            Ok(Err(Unavailable::Stopped)) => Err(self.error(Reason::Failed)),
            Err(_late) => Err(self.error(Reason::TimedOut)),
        }
    }

    /// A token that is valid by `clock`. Waits through failures, without a time limit.
    ///
    /// # Errors
    ///
    /// [`TokenError`] when the runtime of the background task has ended.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn wait(&self, clock: fn() -> SystemTime) -> Result<Token, TokenError> {
        self.cache().wait(clock).await.ok_or_else(|| self.error(Reason::Failed))
    }

    fn cache(&self) -> &RefreshingCache<Token, TokenError> {
        let Inner { source, scope, http, cache } = &*self.0;
        cache.get_or_init(|| RefreshingCache::start(TokenFetcher::new(source, scope, http), SystemTime::now))
    }

    fn error(&self, reason: Reason) -> TokenError {
        TokenError::new(&self.0.source, reason)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { source, scope, .. } = &*self.0;
        f.debug_struct("TokenCache").field("source", source).field("scope", scope).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TokenCredential for TokenCache {
    /// Fails for other scopes than the one of this cache, with [`ErrorKind::Credential`] as for every failure.
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let failed = |error| azure_core::Error::with_error(ErrorKind::Credential, error, "no token");
        if scopes != [self.0.scope] {
            return Err(failed(self.error(Reason::Failed)));
        }
        let token = self.get(SystemTime::now(), Instant::now() + PIPELINE_TIMEOUT).await.map_err(failed)?;
        Ok(AccessToken::new(token.expose().to_owned(), token.expires_at.into()))
    }
}

/// Requests tokens from `azure_identity`.
struct TokenFetcher {
    source: CredentialSource,
    scope: &'static str,
    name: String,
    http: HttpClient,
    /// Created with the first request, which keeps them out of the start of the process.
    credentials: OnceLock<azure_core::Result<Vec<Arc<dyn TokenCredential>>>>,
}

impl TokenFetcher {
    fn new(source: &CredentialSource, scope: &'static str, http: &HttpClient) -> Self {
        let name = format!("a Microsoft Entra token for {}", audience(scope));
        Self { source: source.clone(), scope, name, http: http.clone(), credentials: OnceLock::new() }
    }

    async fn request(&self) -> Result<Expiring<Token>, Reason> {
        let mut reason = Reason::Failed;
        let credentials = self.credentials.get_or_init(|| credentials(&self.source, &self.http));
        for credential in credentials.as_ref().map_err(reason_of)? {
            match get_token(credential.clone(), self.scope).await {
                Ok(token) => {
                    let (now, expires_at) = (SystemTime::now(), SystemTime::from(token.expires_on));
                    let token = Token { secret: Secret::new(token.token.secret()), expires_at };
                    return Ok(Expiring::token(token, now, expires_at));
                }
                Err(failed) => reason = failed,
            }
        }
        Err(reason)
    }
}

/// Requests a token in a task of its own: `azure_identity` adds the lifetime in a response to the time without a check, and its panic
/// would end the background task, and with it all later requests.
async fn get_token(credential: Arc<dyn TokenCredential>, scope: &'static str) -> Result<AccessToken, Reason> {
    let mut task = JoinSet::new();
    task.spawn(async move { credential.get_token(&[scope], None).await });
    match task.join_next().await {
        Some(Ok(outcome)) => outcome.map_err(|error| reason_of(&error)),
        Some(Err(_)) | None => Err(Reason::Failed),
    }
}

impl Fetch for TokenFetcher {
    type Value = Token;
    type Error = TokenError;

    fn name(&self) -> &str {
        &self.name
    }

    async fn fetch(&self) -> Result<Expiring<Token>, TokenError> {
        let outcome = timeout(FETCH_TIMEOUT, self.request()).await.unwrap_or(Err(Reason::TimedOut));
        outcome.map_err(|reason| TokenError::new(&self.source, reason))
    }
}

/// The service that a scope is for, without the slashes that belong to the scope.
fn audience(scope: &str) -> &str {
    scope.strip_suffix("/.default").unwrap_or(scope).trim_end_matches('/')
}

/// The credentials of `source`, in the order in which they are tried.
fn credentials(source: &CredentialSource, http: &HttpClient) -> azure_core::Result<Vec<Arc<dyn TokenCredential>>> {
    let client_options = ClientOptions {
        transport: Some(transport(http, ATTEMPT_TIMEOUT, MAX_RESPONSE_BYTES)),
        retry: RetryOptions::exponential(ExponentialRetryOptions { max_retries: MAX_RETRIES, ..Default::default() }),
        ..Default::default()
    };
    Ok(match source.0.clone() {
        Source::ManagedIdentity { client_id } => {
            let user_assigned_id = client_id.map(UserAssignedId::ClientId);
            let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
            vec![ManagedIdentityCredential::new(Some(options))?]
        }
        Source::Application { client_id, tenant_id, client_secret } => {
            let secret = AzureSecret::new(client_secret.expose().to_owned());
            let options = ClientSecretCredentialOptions { client_options };
            vec![ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options))?]
        }
        // As `DeveloperToolsCredential` does, which takes no tenant.
        Source::DeveloperTools { tenant_id } | Source::Automatic { tenant_id, .. } => {
            let az = AzureCliCredentialOptions { tenant_id: tenant_id.clone(), ..Default::default() };
            let azd = AzureDeveloperCliCredentialOptions { tenant_id, ..Default::default() };
            vec![AzureCliCredential::new(Some(az))?, AzureDeveloperCliCredential::new(Some(azd))?]
        }
    })
}

/// The first cause in the chain that is more specific than [`Reason::Failed`].
fn reason_of(error: &azure_core::Error) -> Reason {
    successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
        .filter_map(|error| error.downcast_ref::<azure_core::Error>())
        .find_map(|error| match error.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                let code = error_code.as_deref().filter(|code| is_numeric(code));
                let code = code.map(|code| format!("AADSTS{code}"));
                Some(Reason::Refused { status: (*status).into(), code })
            }
            ErrorKind::Connection | ErrorKind::Io => Some(Reason::Unreachable),
            _ => None,
        })
        .unwrap_or(Reason::Failed)
}

fn is_numeric(code: &str) -> bool {
    (1..=40).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

#[cfg(test)]
mod tests {
    use azure_http::HttpOptions;

    use super::*;
    use crate::credential_source::CredentialSourceError;

    fn cache_of(source: Result<CredentialSource, CredentialSourceError>) -> TokenCache {
        let http = HttpClient::new(&HttpOptions::default()).unwrap();
        TokenCache::new(&source.unwrap(), "https://h/.default", &http)
    }

    #[test]
    fn a_token_is_named_after_the_service_it_is_for() {
        for (scope, expected) in [
            ("https://signalr.azure.com/.default", "https://signalr.azure.com"),
            ("https://communication.azure.com//.default", "https://communication.azure.com"),
            ("https://h/read", "https://h/read"),
        ] {
            assert_eq!(audience(scope), expected);
        }
    }

    #[test]
    fn neither_a_token_nor_a_cache_prints_a_secret() {
        let tokens = cache_of(CredentialSource::application("c", "t", "hush"));
        let token = Token { secret: Secret::new("hush"), expires_at: SystemTime::now() };
        assert!(!format!("{tokens:?} {token:?}").contains("hush"));
    }

    #[tokio::test]
    async fn a_token_that_does_not_come_in_time_is_an_error_that_names_the_issuer() {
        let tokens = cache_of(CredentialSource::managed_identity(None));
        let late = tokens.get(SystemTime::now(), Instant::now()).await.unwrap_err();
        assert_eq!((&late.reason, late.is_retryable(), late.retry_after()), (&Reason::TimedOut, true, None));
        assert!(late.to_string().starts_with("the managed identity endpoint did not answer in time"));
    }

    #[tokio::test]
    async fn a_cache_issues_no_token_for_another_scope() {
        let tokens = cache_of(CredentialSource::managed_identity(None));
        let error = tokens.get_token(&["https://other/.default"], None).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Credential);
    }

    /// Adds the lifetime in a response to the time, as `azure_identity` does.
    #[derive(Debug)]
    struct Adding(u64);

    #[async_trait::async_trait]
    impl TokenCredential for Adding {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let expires_on = azure_core::time::OffsetDateTime::now_utc() + Duration::from_secs(self.0);
            Ok(AccessToken::new("t", expires_on))
        }
    }

    #[tokio::test]
    async fn a_lifetime_that_no_clock_can_hold_is_no_token_and_ends_no_task() {
        for (lifetime, is_token) in [
            (0, true),
            (3_600, true),
            (86_400, true),
            (100 * 365 * 86_400, true),
            (253_402_300_800, false),
            (1 << 53, false),
            (i64::MAX as u64 - 1, false),
            (i64::MAX as u64, false),
            (1 << 63, false),
            (u64::MAX, false),
        ] {
            let token = get_token(Arc::new(Adding(lifetime)), "s").await;
            assert_eq!(token.map(drop), if is_token { Ok(()) } else { Err(Reason::Failed) }, "{lifetime}");
        }
    }
}
