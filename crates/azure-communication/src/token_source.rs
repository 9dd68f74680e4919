//! Where tokens of Microsoft Entra ID come from: [`TokenSource`], which the caller implements.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::parameters::EntraToken;

/// The scope of tokens for the service. Both slashes belong there.
pub const ENTRA_SCOPE: &str = "https://communication.azure.com//.default";

/// A source of tokens of an identity. It is called before every request, so it should cache.
///
/// ```
/// use azure_communication::{EntraToken, TokenError, TokenSource};
/// use jiff::Timestamp;
///
/// struct Fixed(EntraToken);
///
/// impl TokenSource for Fixed {
///     async fn token(&self, _scope: &'static str, _now: Timestamp) -> Result<EntraToken, TokenError> {
///         Ok(self.0.clone())
///     }
/// }
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// A token for `scope`, which is always [`ENTRA_SCOPE`], that is valid at `now`.
    ///
    /// The future is dropped when the time for the whole call is up.
    fn token(&self, scope: &'static str, now: Timestamp)
    -> impl Future<Output = Result<EntraToken, TokenError>> + Send;
}

/// Why a [`TokenSource`] has no access token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no Microsoft Entra token")]
pub struct TokenError {
    pub(crate) is_transient: bool,
    pub(crate) retry_after: Option<Duration>,
    #[source]
    cause: Arc<dyn std::error::Error + Send + Sync>,
}

impl TokenError {
    /// A failure that passes: after `retry_after`, where that is known.
    #[must_use]
    pub fn transient(
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self { is_transient: true, retry_after, cause: cause.into().into() }
    }

    /// A failure that stays until the configuration is changed.
    #[must_use]
    pub fn permanent(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { is_transient: false, retry_after: None, cause: cause.into().into() }
    }
}

pub(crate) type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<EntraToken, TokenError>> + Send + 'a>>;

/// A [`TokenSource`] of any type, as the client holds it.
pub(crate) trait DynTokenSource: Send + Sync {
    fn token(&self, now: Timestamp) -> TokenFuture<'_>;
}

impl<T: TokenSource> DynTokenSource for T {
    fn token(&self, now: Timestamp) -> TokenFuture<'_> {
        Box::pin(TokenSource::token(self, ENTRA_SCOPE, now))
    }
}
