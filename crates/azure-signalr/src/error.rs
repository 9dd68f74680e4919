//! Why a call failed: one opaque type, with the few questions a caller has.
//!
//! `Display` says its own line only; causes are in `source()`. Addresses are taken out of causes, since they can carry tokens.

use std::fmt;
use std::time::Duration;

/// A failed call of the service.
#[derive(Debug)]
pub struct Error {
    pub(crate) kind: Kind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service answered with something else than 202.
    Rejected { status: u16, code: Option<String>, retry_after: Option<Duration> },
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

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            Kind::Unreachable | Kind::Interrupted | Kind::TimedOut => true,
            Kind::Rejected { status, .. } => matches!(status, 429 | 500..),
            Kind::TokenTooLong | Kind::Unserialisable | Kind::Unusable => false,
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
            Kind::Rejected { status, .. } => Some(status),
            _ => None,
        }
    }

    /// How long the service asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::Rejected { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    #[cold]
    pub(crate) fn unserialisable(cause: serde_json::Error) -> Self {
        Self { kind: Kind::Unserialisable, source: Some(cause.into()) }
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
        Self { kind, source: Some(cause.without_url().into()) }
    }
}

impl From<Kind> for Error {
    #[cold]
    fn from(kind: Kind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Rejected { status, code: Some(code), .. } => {
                write!(f, "the SignalR service answered {status} ({code})")
            }
            Kind::Rejected { status, code: None, .. } => write!(f, "the SignalR service answered {status}"),
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
