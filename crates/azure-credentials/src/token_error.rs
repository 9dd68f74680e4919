//! `TokenError`: why there is no token, and what the operator can do about it.
//!
//! Of a response only its status and the digits of its error code are kept; its text could contain anything.

use std::time::Duration;

use crate::credential_source::{CredentialSource, Source};

/// No token could be had for a credential source. `Display` names the source, the reason and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}; {}", issuer.0, issuer.1)]
pub struct TokenError {
    /// The name of the issuer, and what to do.
    pub(crate) issuer: &'static (&'static str, &'static str),
    pub(crate) reason: Reason,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("cannot be reached")]
    Unreachable,
    #[error("did not answer in time")]
    TimedOut,
    /// An error response, with an error code like `AADSTS700016`.
    #[error("answered {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused { status: u16, code: Option<String> },
    /// Any other failure. Its text is not kept.
    #[error("gave none")]
    Failed,
}

impl TokenError {
    pub(crate) fn new(source: &CredentialSource, reason: Reason) -> Self {
        let issuer = match source.0 {
            Source::ManagedIdentity { .. } => &(
                "the managed identity endpoint",
                "turn on an identity for this app, or check the client id if it is a user-assigned one",
            ),
            Source::Application { .. } => {
                &("Microsoft Entra ID", "check the ids of application and tenant, and whether the secret has expired")
            }
            Source::DeveloperTools { .. } | Source::Automatic { .. } => {
                &("the developer's tools", "sign in with `az login` or `azd auth login`")
            }
        };
        Self { issuer, reason, retry_after: None }
    }

    /// Whether a later request may succeed without a change of configuration.
    pub fn is_retryable(&self) -> bool {
        match self.reason {
            Reason::Unreachable | Reason::TimedOut => true,
            Reason::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            Reason::Failed => false,
        }
    }

    /// How long it takes until the next token request, if known. Coming back sooner is of no use.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reason: Reason) -> TokenError {
        TokenError::new(&CredentialSource::application("c", "t", "s").unwrap(), reason)
    }

    #[test]
    fn only_transient_failures_are_retryable() {
        let refused = |status| error(Reason::Refused { status, code: None });
        for transient in [error(Reason::Unreachable), error(Reason::TimedOut), refused(429), refused(503)] {
            assert!(transient.is_retryable(), "{transient}");
        }
        for permanent in [error(Reason::Failed), refused(400), refused(401)] {
            assert!(!permanent.is_retryable(), "{permanent}");
        }
    }

    #[test]
    fn the_message_names_the_issuer_the_reason_and_what_to_do() {
        let refused = error(Reason::Refused { status: 401, code: Some("AADSTS7000222".to_owned()) });
        assert_eq!(
            refused.to_string(),
            "Microsoft Entra ID answered 401 (AADSTS7000222); check the ids of application and tenant, and whether the secret has expired"
        );
    }
}
