//! Why a call failed: one opaque type, with the few questions a caller has.
//!
//! `Display` says its own line only; causes are in `source()`. Neither holds an address, since it can have tokens in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_credentials::TokenError;
use azure_http::{Failure, HttpError, HttpErrorKind};

use crate::send_receipt::Attempt;

/// A failed call of the service. Clones are the same failure.
#[derive(Clone, Debug)]
pub struct Error {
    pub(crate) kind: Kind,
    /// The delay before another call, where it is known here and not by the service.
    retry_after: Option<Duration>,
    attempts: Vec<Attempt>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service responded with an error.
    Rejected { status: u16, code: Option<String>, retry_after: Option<Duration> },
    /// The service does not accept the token of an identity (401), or does not let the identity do this (403).
    IdentityRefused { status: u16, code: Option<String> },
    /// There is no token for the identity.
    NoToken(TokenError),
    /// The response to a request for a key has none.
    NoKey,
    /// There is no response, or the HTTP client cannot be built.
    Http(HttpErrorKind),
    /// The access token would be longer than the service takes.
    TokenTooLong,
    /// The arguments cannot be written as JSON.
    Unserialisable,
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Http(kind) => Failure::from(*kind) != Failure::Permanent,
            Kind::Rejected { status, .. } => matches!(status, 408 | 429 | 500..),
            Kind::NoToken(why) => why.is_retryable(),
            Kind::IdentityRefused { .. } | Kind::NoKey | Kind::TokenTooLong | Kind::Unserialisable => false,
        }
    }

    /// Whether the service did not respond in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Http(HttpErrorKind::TimedOut)
    }

    /// The status of the service's response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Rejected { status, .. } | Kind::IdentityRefused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The delay before another call is of use: as the service asks, a day at most, or until a token or key is requested again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::Rejected { retry_after: Some(delay), .. } => Some(delay),
            _ => self.retry_after,
        }
    }

    /// The requests that were made to send a message, in order; none of them succeeded. Empty if there was none.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The same, for a call that was made with the token of an identity.
    pub(crate) fn of_identity(mut self) -> Self {
        if let Kind::Rejected { status: status @ (401 | 403), code, .. } = self.kind {
            self.kind = Kind::IdentityRefused { status, code };
        }
        self
    }

    pub(crate) fn with_attempts(self, attempts: Vec<Attempt>) -> Self {
        Self { attempts, ..self }
    }

    pub(crate) fn with_retry_after(self, delay: Duration) -> Self {
        Self { retry_after: Some(delay), ..self }
    }

    /// What the retry policy has to know.
    pub(crate) fn failure(&self) -> Failure {
        match self.kind {
            Kind::Http(kind) => kind.into(),
            Kind::Rejected { status, retry_after, .. } => Failure::Status { status, retry_after },
            _ => Failure::Permanent,
        }
    }

    /// The status of the response, or why there was none, in a word.
    pub(crate) fn outcome(&self) -> Result<u16, &'static str> {
        self.status().ok_or(match self.kind {
            Kind::Http(HttpErrorKind::Unreachable) => "unreachable",
            Kind::Http(HttpErrorKind::TimedOut) => "timed_out",
            _ => "interrupted",
        })
    }

    #[cold]
    pub(crate) fn unserialisable(cause: serde_json::Error) -> Self {
        Self { source: Some(Arc::new(cause)), ..Kind::Unserialisable.into() }
    }
}

impl From<Kind> for Error {
    #[cold]
    fn from(kind: Kind) -> Self {
        Self { kind, retry_after: None, attempts: Vec::new(), source: None }
    }
}

impl From<TokenError> for Error {
    #[cold]
    fn from(why: TokenError) -> Self {
        Self { retry_after: why.retry_after(), ..Kind::NoToken(why).into() }
    }
}

impl From<HttpError> for Error {
    #[cold]
    fn from(cause: HttpError) -> Self {
        let kind = Kind::Http(cause.kind());
        Self { source: Some(Arc::new(cause)), ..kind.into() }
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
            Kind::Http(kind) => f.write_str(match kind {
                HttpErrorKind::Unreachable => "the SignalR service cannot be reached",
                HttpErrorKind::TimedOut => "the SignalR service did not answer in time",
                HttpErrorKind::BodyTooLarge => "the answer of the SignalR service is too long",
                HttpErrorKind::Unusable => "no HTTP client can be built here",
                _ => "the connection to the SignalR service broke before its answer came",
            }),
            Kind::TokenTooLong => {
                f.write_str("the access token would be longer than the 4,096 characters the service takes")
            }
            Kind::Unserialisable => f.write_str("the arguments of the message cannot be written as JSON"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}
