//! Why there is no token.
//!
//! Nothing that was answered is repeated but its status and the numbers of its error code: words can hold anything.

use std::fmt;
use std::time::Duration;

use crate::identity::Issuer;

/// There is no token for an identity. `Display` says who gave none, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoToken {
    pub(crate) issuer: Issuer,
    pub(crate) why: Why,
    pub(crate) retry_after: Option<Duration>,
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nobody answered who could give one.
    Unreachable,
    /// The time to wait for one was up.
    TimedOut,
    /// The answer was no.
    Refused {
        /// Its status.
        status: u16,
        /// Microsoft's number for what is wrong, like `AADSTS700016`.
        code: Option<String>,
    },
    /// Whatever else; its words may hold anything, so they are not repeated.
    Failed,
}

impl NoToken {
    pub(crate) fn new(issuer: Issuer, why: Why) -> Self {
        Self { issuer, why, retry_after: None }
    }

    /// What was wrong.
    #[must_use]
    pub fn why(&self) -> &Why {
        &self.why
    }

    /// Whether there may be one later without anybody doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.why {
            Why::Unreachable | Why::TimedOut => true,
            Why::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            Why::Failed => false,
        }
    }

    /// How long it takes until one is asked for again, where that is known: to come back sooner is of no use.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.issuer, self.why, self.issuer.advice())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("cannot be reached"),
            Self::TimedOut => f.write_str("did not answer in time"),
            Self::Refused { status, code: Some(code) } => write!(f, "answered {status} ({code})"),
            Self::Refused { status, code: None } => write!(f, "answered {status}"),
            Self::Failed => f.write_str("gave none"),
        }
    }
}

impl std::error::Error for NoToken {}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(why: Why) -> NoToken {
        NoToken::new(Issuer::Application, why)
    }

    #[test]
    fn what_passes_by_itself_is_worth_another_try() {
        let refused = |status| told(Why::Refused { status, code: None });
        for passing in [told(Why::Unreachable), told(Why::TimedOut), refused(429), refused(503)] {
            assert!(passing.is_retryable(), "{passing}");
        }
        for lasting in [told(Why::Failed), refused(400), refused(401)] {
            assert!(!lasting.is_retryable(), "{lasting}");
        }
    }

    #[test]
    fn it_says_who_gave_none_and_why_and_what_to_do() {
        let refused = told(Why::Refused { status: 401, code: Some("AADSTS7000222".to_owned()) });
        assert_eq!(
            refused.to_string(),
            "Microsoft Entra ID answered 401 (AADSTS7000222); check the ids of application and tenant, and whether the secret has expired"
        );
    }
}
