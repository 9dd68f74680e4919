//! Microsoft Entra ID instead of an access key.
//!
//! Where the tokens come from is not this crate's business: whoever has some to give lends a [`TokenSource`]. It is asked before
//! every request, so it had better keep what it has.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::secret::Secret;
use crate::value_error::ValueError;

/// What tokens for the service are asked for with. Both slashes belong there.
pub const ENTRA_SCOPE: &str = "https://communication.azure.com//.default";

/// A token of Microsoft Entra ID. It cannot be printed.
#[derive(Clone, Debug)]
pub struct EntraToken(Secret);

impl EntraToken {
    /// As much as a header of a request commonly may have in all.
    const MAX_BYTES: usize = 16_384;

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for EntraToken {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let right =
            (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        right.then(|| Self(Secret::new(text))).ok_or(ValueError::EntraToken)
    }
}

/// Whoever has tokens of an identity.
///
/// ```
/// use azure_communication::{EntraToken, NoToken, TokenSource};
/// use jiff::Timestamp;
///
/// struct Lent(EntraToken);
///
/// impl TokenSource for Lent {
///     async fn token(&self, _scope: &'static str, _now: Timestamp) -> Result<EntraToken, NoToken> {
///         Ok(self.0.clone())
///     }
/// }
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// A token for `scope`, which is always [`ENTRA_SCOPE`], that is good at `now`.
    ///
    /// The future is dropped when the time for the whole call is up.
    fn token(
        &self,
        scope: &'static str,
        now: Timestamp,
    ) -> impl Future<Output = Result<EntraToken, NoToken>> + Send;
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub struct NoToken {
    pub(crate) passes: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) cause: Arc<dyn std::error::Error + Send + Sync>,
}

impl NoToken {
    /// There may be one later: in `retry_after`, where that is known.
    #[must_use]
    pub fn for_now(
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self { passes: true, retry_after, cause: cause.into().into() }
    }

    /// There will be none until somebody mends something.
    #[must_use]
    pub fn until_mended(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { passes: false, retry_after: None, cause: cause.into().into() }
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no Microsoft Entra token")
    }
}

impl std::error::Error for NoToken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// What a source of any kind is asked for.
pub(crate) type Asked<'a> = Pin<Box<dyn Future<Output = Result<EntraToken, NoToken>> + Send + 'a>>;

/// A source whose kind has been forgotten, so that it need not be part of the client's.
pub(crate) trait AnySource: Send + Sync {
    fn token(&self, now: Timestamp) -> Asked<'_>;
}

impl<T: TokenSource> AnySource for T {
    fn token(&self, now: Timestamp) -> Asked<'_> {
        Box::pin(TokenSource::token(self, ENTRA_SCOPE, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_fits_into_a_header_and_does_not_print() {
        let token: EntraToken = "hush.hush-hush_hush".parse().unwrap();
        assert!(!format!("{token:?}").contains("hush"));
        for wrong in ["", "a b", "a\r\nb", "ä", &"a".repeat(16_385)] {
            assert_eq!(wrong.parse::<EntraToken>().unwrap_err(), ValueError::EntraToken);
        }
    }
}
