//! Why a call failed: one opaque type, with the few questions a caller has.
//!
//! `Display` says its own line only; causes are in `source()`. Addresses are taken out of causes, since they can carry tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_credentials::TokenError;

use crate::sent::Try;

/// A failed call of the service. Clones are the same failure: one that several calls waited for is told to each.
#[derive(Clone, Debug)]
pub struct Error {
    pub(crate) kind: Kind,
    /// When trying again is of use, where that is known here and not by the service.
    wait: Option<Duration>,
    tries: Vec<Try>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service answered with something else than 202.
    Rejected { status: u16, code: Option<String>, retry_after: Option<Duration> },
    /// The service does not believe the token of an identity (401), or does not let the identity do this (403).
    IdentityRefused { status: u16, code: Option<String> },
    /// There is no token for the identity.
    NoToken(TokenError),
    /// The service's answer to a request for a key is none.
    NoKey,
    /// No connection came about: nothing was sent.
    Unreachable,
    /// The connection broke after something was sent.
    Interrupted,
    /// The time for the whole call was up.
    TimedOut,
    /// The access token would be longer than the service takes.
    TokenTooLong,
    /// The arguments are not JSON.
    Unserialisable,
    /// The HTTP client cannot be built.
    Unusable,
}

impl Kind {
    /// The same, for a call that was made with the token of an identity.
    pub(crate) fn of_identity(self) -> Self {
        match self {
            Self::Rejected { status: status @ (401 | 403), code, .. } => {
                Self::IdentityRefused { status, code }
            }
            other => other,
        }
    }
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Unreachable | Kind::Interrupted | Kind::TimedOut => true,
            Kind::Rejected { status, .. } => matches!(status, 429 | 500..),
            Kind::NoToken(why) => why.is_retryable(),
            Kind::IdentityRefused { .. }
            | Kind::NoKey
            | Kind::TokenTooLong
            | Kind::Unserialisable
            | Kind::Unusable => false,
        }
    }

    /// Whether the service did not answer in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::TimedOut
    }

    /// The status the service answered with, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Rejected { status, .. } | Kind::IdentityRefused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// How long to wait: as the service asked, or until a token or key is asked for again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::Rejected { retry_after: Some(asked), .. } => Some(asked),
            _ => self.wait,
        }
    }

    /// The requests that were made to send a message, in order; none of them succeeded. Empty where it did not come to a request.
    #[must_use]
    pub fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// The same, after these tries.
    pub(crate) fn after(self, tries: Vec<Try>) -> Self {
        Self { tries, ..self }
    }

    /// The same, and trying again is of no use before `wait` is over.
    pub(crate) fn until(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }

    #[cold]
    pub(crate) fn unserialisable(cause: serde_json::Error) -> Self {
        Self { source: Some(Arc::new(cause)), ..Kind::Unserialisable.into() }
    }

    #[cold]
    pub(crate) fn from_http(cause: reqwest::Error) -> Self {
        let kind = if cause.is_builder() {
            Kind::Unusable
        } else if cause.is_connect() {
            Kind::Unreachable
        } else if cause.is_timeout() {
            Kind::TimedOut
        } else {
            Kind::Interrupted
        };
        Self { source: Some(Arc::new(cause.without_url())), ..kind.into() }
    }
}

impl From<Kind> for Error {
    #[cold]
    fn from(kind: Kind) -> Self {
        Self { kind, wait: None, tries: Vec::new(), source: None }
    }
}

impl From<TokenError> for Error {
    #[cold]
    fn from(why: TokenError) -> Self {
        Self { wait: why.retry_after(), ..Kind::NoToken(why).into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Rejected { status, code: Some(code), .. } => {
                write!(f, "the SignalR service answered {status} ({code})")
            }
            Kind::Rejected { status, code: None, .. } => write!(f, "the SignalR service answered {status}"),
            Kind::IdentityRefused { status: 403, .. } => f.write_str(
                "the SignalR service answered 403: the identity may not do this; assign it the roles SignalR App Server and SignalR REST API \
                 Owner on the service, and give that a few minutes",
            ),
            Kind::IdentityRefused { status, .. } => write!(
                f,
                "the SignalR service answered {status}: it does not accept the identity's token; the identity has to be of the tenant the \
                 service is in"
            ),
            Kind::NoToken(why) => write!(f, "no token for the SignalR service: {why}"),
            Kind::NoKey => f.write_str("the SignalR service gave no access key, but something else"),
            Kind::Unreachable => f.write_str("the SignalR service cannot be reached"),
            Kind::Interrupted => {
                f.write_str("the connection to the SignalR service broke before its answer came")
            }
            Kind::TimedOut => f.write_str("the SignalR service did not answer in time"),
            Kind::TokenTooLong => {
                f.write_str("the access token would be longer than the 4,096 characters the service takes")
            }
            Kind::Unserialisable => f.write_str("the arguments of the message cannot be written as JSON"),
            Kind::Unusable => f.write_str("no HTTP client can be built here"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}
