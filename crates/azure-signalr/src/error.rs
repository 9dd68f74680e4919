//! Why a call failed: one opaque type, with the few questions a caller has.
//!
//! `Display` says its own line only; causes are in `source()`. Neither holds an address, since it can have tokens in it.

use std::sync::Arc;
use std::time::Duration;

use azure_credentials::TokenError;
use azure_http::{ClockDifference, Failure, HttpError, HttpErrorKind};

use crate::send_receipt::Attempt;

/// A failed call of the service. Clones are the same failure.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    pub(crate) kind: Kind,
    /// The delay before another call, where it is known here and not by the service.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kind {
    /// A token that is not accepted (401) may be one that a wrong clock has made.
    #[error("the SignalR service answered {status}{}{}", in_brackets(code.as_deref()), after_colon(*clock))]
    Rejected { status: u16, code: Option<String>, retry_after: Option<Duration>, clock: Option<ClockDifference> },
    /// The service does not accept the token of an identity (401), or does not let the identity do this (403).
    #[error("the SignalR service answered {status}: {}{}", advice(*status), after_colon(*clock))]
    IdentityRefused { status: u16, code: Option<String>, clock: Option<ClockDifference> },
    // Not a source: its text is part of this one.
    #[error("no token for the SignalR service: {0}")]
    NoToken(TokenError),
    #[error("the SignalR service gave no access key, but something else")]
    NoKey,
    #[error("the SignalR service gave no list of connections, but something else")]
    NoList,
    /// There is no response, or the HTTP client cannot be built.
    #[error("{}", http_message(*.0))]
    Http(HttpErrorKind),
    #[error("the access token would be longer than the 4,096 characters the service takes")]
    TokenTooLong,
    #[error("the arguments of the message cannot be written as JSON")]
    Unserialisable,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Http(kind) => Failure::from(*kind) != Failure::Permanent,
            Kind::Rejected { status, .. } => matches!(status, 408 | 429 | 500..),
            Kind::NoToken(why) => why.is_retryable(),
            Kind::IdentityRefused { .. } | Kind::NoKey | Kind::NoList | Kind::TokenTooLong | Kind::Unserialisable => {
                false
            }
        }
    }

    /// Whether the service did not respond in time.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Http(HttpErrorKind::TimedOut)
    }

    /// The status of the service's response, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Rejected { status, .. } | Kind::IdentityRefused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The delay before another call is of use: as the service asks, a day at most, or until a token or key is requested again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::Rejected { retry_after: Some(delay), .. } => Some(delay),
            _ => self.retry_after,
        }
    }

    /// The requests that were made to send a message, in order; none of them succeeded. Empty if there was none.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Whether the service responded with this status and this `x-ms-error-code`.
    pub(crate) fn is_rejection(&self, expected: u16, expected_code: &str) -> bool {
        matches!(&self.kind, Kind::Rejected { status, code: Some(code), .. } if *status == expected && code == expected_code)
    }

    /// The same, for a call that was made with the token of an identity.
    pub(crate) fn of_identity(mut self) -> Self {
        if let Kind::Rejected { status: status @ (401 | 403), code, clock, .. } = self.kind {
            self.kind = Kind::IdentityRefused { status, code, clock };
        }
        self
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

fn in_brackets(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!(" ({code})"))
}

fn after_colon(clock: Option<ClockDifference>) -> String {
    clock.map_or_else(String::new, |clock| format!(": {clock}"))
}

fn advice(status: u16) -> &'static str {
    match status {
        403 => {
            "the identity may not do this; assign it the roles SignalR App Server and SignalR REST API Owner on the service, and give \
             that a few minutes"
        }
        _ => "it does not accept the identity's token; the identity has to be of the tenant the service is in",
    }
}

fn http_message(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Unreachable => "the SignalR service cannot be reached",
        HttpErrorKind::TimedOut => "the SignalR service did not answer in time",
        HttpErrorKind::BodyTooLarge => "the answer of the SignalR service is too long",
        HttpErrorKind::Unusable => "no HTTP client can be built here",
        _ => "the connection to the SignalR service broke before its answer came",
    }
}
