//! Why a call failed: one opaque type, with the few questions a caller has.
//!
//! `Display` says its own line only and nothing the service said; causes are in `source()`. Neither holds a key, a token, the id of
//! a user or an address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::connection_string_error::ConnectionStringError;
use crate::entra::NoToken;
use crate::service_error::ServiceError;

/// Nobody knows better than that when to come back, and whoever adds it to a clock should not overflow it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A failed call of the service. Clones are the same failure.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    status: Option<u16>,
    retry_after: Option<Duration>,
    /// The service's own words, where it had some.
    words: Option<Arc<ServiceError>>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, as far as it matters to what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The service finds the request wrong (400 and the like): see [`Error::code`] and [`Error::target`].
    Invalid,
    /// The service does not accept the access key or the identity (401).
    Unauthenticated,
    /// The service does not accept the token of a Teams user that was to be exchanged (401).
    InvalidTeamsToken,
    /// The key or identity may not do this (403).
    Forbidden,
    /// There is no such user, or not any more (404, though Microsoft documents no status for it). A gateway that leads elsewhere
    /// says the same, but without a [code](Error::code).
    NotFound,
    /// Too many calls (429).
    Throttled,
    /// The service has trouble of its own (5xx).
    Unavailable,
    /// An answer that is not in the contract: another status, a body that is too long or not what it should be.
    UnexpectedAnswer,
    /// No connection came about: nothing was sent.
    Unreachable,
    /// The connection broke after something was sent.
    Interrupted,
    /// The time for the whole call was up.
    TimedOut,
    /// The [source of tokens](crate::TokenSource) had none: nothing was sent.
    NoToken,
    /// The client cannot be built like this, or not here.
    Unusable,
}

impl Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Throttled
            | ErrorKind::Unavailable
            | ErrorKind::Unreachable
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut => true,
            ErrorKind::NoToken => self.no_token_passes(),
            _ => false,
        }
    }

    /// Whether the service may have done what it was asked for, although the call failed: a failed create may have left a user
    /// behind whose id nobody knows.
    #[must_use]
    pub fn may_have_been_done(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable
                | ErrorKind::UnexpectedAnswer
                | ErrorKind::Interrupted
                | ErrorKind::TimedOut
        )
    }

    /// The status the service answered with, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The service's name for what is wrong, like `ValidationError`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.words.as_deref().map(ServiceError::code)
    }

    /// The part of the request that is wrong, like `Scopes`.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.words.as_deref().and_then(ServiceError::target)
    }

    /// How long to wait before another call, where the service or the source of tokens said so. A day at most.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|asked| asked.min(LONGEST_RETRY_AFTER))
    }

    /// The service said no.
    #[cold]
    pub(crate) fn refused(status: u16, retry_after: Option<Duration>, words: Option<ServiceError>) -> Self {
        let kind = match status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::Throttled,
            408 | 500..=599 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::UnexpectedAnswer,
        };
        let words = words.map(Arc::new);
        Self { status: Some(status), retry_after, words, ..kind.into() }
    }

    /// The same, for an exchange: there, a token that is not accepted may be the one in the body.
    pub(crate) fn of_exchange(self) -> Self {
        match (self.kind, self.code()) {
            (ErrorKind::Unauthenticated, Some("InvalidAccessToken")) => {
                Self { kind: ErrorKind::InvalidTeamsToken, ..self }
            }
            _ => self,
        }
    }

    /// The service said yes, but not what goes with it.
    #[cold]
    pub(crate) fn unexpected(status: u16, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { status: Some(status), cause: Some(Arc::new(cause)), ..ErrorKind::UnexpectedAnswer.into() }
    }

    #[cold]
    pub(crate) fn no_token(why: NoToken) -> Self {
        Self { retry_after: why.retry_after, cause: Some(Arc::new(why)), ..ErrorKind::NoToken.into() }
    }

    #[cold]
    pub(crate) fn insecure() -> Self {
        let cause = ConnectionStringError::InsecureEndpoint;
        Self { cause: Some(Arc::new(cause)), ..ErrorKind::Unusable.into() }
    }

    #[cold]
    pub(crate) fn from_http(cause: reqwest::Error) -> Self {
        let kind = if cause.is_builder() {
            ErrorKind::Unusable
        } else if cause.is_connect() {
            ErrorKind::Unreachable
        } else if cause.is_timeout() {
            ErrorKind::TimedOut
        } else {
            ErrorKind::Interrupted
        };
        Self { cause: Some(Arc::new(cause.without_url())), ..kind.into() }
    }

    fn no_token_passes(&self) -> bool {
        let why = self.cause.as_deref().and_then(|cause| cause.downcast_ref::<NoToken>());
        why.is_none_or(|why| why.passes)
    }
}

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self { kind, status: None, retry_after: None, words: None, cause: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Azure Communication Services ")?;
        if let Some(status) = self.status {
            write!(f, "answered {status}")?;
            if let Some(words) = &self.words {
                write!(f, " ({}", words.code())?;
                words.target().map_or(Ok(()), |target| write!(f, ", {target}"))?;
                f.write_str(")")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(match self.kind {
            ErrorKind::Invalid => "it finds something wrong with the request",
            ErrorKind::Unauthenticated => {
                "it does not accept the access key or identity; check the connection string, and the clock of this machine"
            }
            ErrorKind::InvalidTeamsToken => "it does not accept the Teams user's token; that user has to sign in again",
            ErrorKind::Forbidden => "this is not allowed; check the roles of the identity on the resource",
            ErrorKind::NotFound => "there is no such user, or not any more",
            ErrorKind::Throttled => "there were too many calls; wait before the next one",
            ErrorKind::Unavailable => "it has trouble of its own; try again later",
            ErrorKind::UnexpectedAnswer => "that is not what was agreed; check that the endpoint leads there and nowhere else",
            ErrorKind::Unreachable => "cannot be reached",
            ErrorKind::Interrupted => "broke the connection before its answer was there",
            ErrorKind::TimedOut => "did not answer in time",
            ErrorKind::NoToken => "was not called: there is no token of the identity to call it with",
            ErrorKind::Unusable => "cannot be called: no client for it can be built like this",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let words = self.words.as_deref().map(|words| words as _);
        words.or_else(|| self.cause.as_deref().map(|cause| cause as _))
    }
}
