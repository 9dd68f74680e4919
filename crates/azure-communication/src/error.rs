//! Why a call failed: one opaque type, with the few questions a caller has.
//!
//! `Display` says its own line only and nothing the service said; causes are in `source()`. Neither holds a key, a token, the id of a
//! user or an address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_http::{ClockDifference, Failure, HttpError, HttpErrorKind, MAX_RETRY_AFTER};
use serde::Deserialize;

use crate::connection_string::ConnectionStringError;
use crate::token_source::TokenError;

/// For the message of an error response, more than any seen.
const MAX_MESSAGE_BYTES: usize = 500;

/// `ExpiresInMinutes` and `'x-ms-content-sha256'` are words; ids, tokens, hashes and addresses are longer.
const MAX_WORD_BYTES: usize = 32;

/// A failed call of the service. Clones are the same failure.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    status: Option<u16>,
    retry_after: Option<Duration>,
    /// The error in the response, if there was one.
    service_error: Option<Arc<ServiceError>>,
    /// Why a signature may not have been accepted.
    clock: Option<ClockDifference>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, as far as that decides what to do about it.
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
    /// There is no such user, or not any more (404, though Microsoft documents no status for it). A 404 of a gateway has no
    /// [code](Error::code).
    NotFound,
    /// Too many calls (429).
    Throttled,
    /// The service failed (408, 5xx).
    Unavailable,
    /// The response is not in the contract of the API: another status, a body that is too long or of another form.
    UnexpectedResponse,
    /// No connection was made: nothing was sent.
    Unreachable,
    /// The connection broke after something was sent.
    Interrupted,
    /// The time for the call was up.
    TimedOut,
    /// The [source of tokens](crate::TokenSource) had none: nothing was sent.
    NoToken,
    /// The client cannot be built with these parameters, or on this machine.
    Unusable,
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Throttled
            | ErrorKind::Unavailable
            | ErrorKind::Unreachable
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut => true,
            ErrorKind::NoToken => {
                let why = self.cause.as_deref().and_then(|cause| cause.downcast_ref::<TokenError>());
                why.is_none_or(|why| why.is_transient)
            }
            _ => false,
        }
    }

    /// Whether the service may have performed the call although it failed: a failed create may have left a user behind whose id is not
    /// known.
    pub fn may_have_been_done(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable | ErrorKind::UnexpectedResponse | ErrorKind::Interrupted | ErrorKind::TimedOut
        )
    }

    /// The status of the service's response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The service's name for what is wrong, like `ValidationError`.
    pub fn code(&self) -> Option<&str> {
        self.service_error.as_deref().map(|error| error.code.as_str())
    }

    /// The part of the request that is wrong, like `Scopes`.
    pub fn target(&self) -> Option<&str> {
        self.service_error.as_deref()?.target.as_deref()
    }

    /// The delay before another call, where the service or the source of tokens asks for one. A day at most.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|delay| delay.min(MAX_RETRY_AFTER))
    }

    /// What the retry policy has to know.
    pub(crate) fn failure(&self) -> Failure {
        match (self.kind, self.status) {
            (ErrorKind::Unreachable, _) => Failure::Unreachable,
            (ErrorKind::Interrupted, _) => Failure::Interrupted,
            (ErrorKind::TimedOut, _) => Failure::TimedOut,
            (_, Some(status)) => Failure::Status { status, retry_after: self.retry_after() },
            (_, None) => Failure::Permanent,
        }
    }

    #[cold]
    pub(crate) fn rejected(status: u16, retry_after: Option<Duration>, service_error: Option<ServiceError>) -> Self {
        let kind = match status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::Throttled,
            408 | 500..=599 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::UnexpectedResponse,
        };
        let service_error = service_error.map(Arc::new);
        Self { status: Some(status), retry_after, service_error, ..kind.into() }
    }

    /// The same, for a response by whose date the clock of this machine is wrong.
    pub(crate) fn with_clock(self, clock: Option<ClockDifference>) -> Self {
        Self { clock: clock.filter(|_| self.kind == ErrorKind::Unauthenticated), ..self }
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

    /// A response with the right status and the wrong body.
    #[cold]
    pub(crate) fn unexpected(status: u16, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { status: Some(status), cause: Some(Arc::new(cause)), ..ErrorKind::UnexpectedResponse.into() }
    }

    #[cold]
    pub(crate) fn no_token(why: TokenError) -> Self {
        Self { retry_after: why.retry_after, cause: Some(Arc::new(why)), ..ErrorKind::NoToken.into() }
    }

    #[cold]
    pub(crate) fn insecure() -> Self {
        let cause = ConnectionStringError::InsecureEndpoint;
        Self { cause: Some(Arc::new(cause)), ..ErrorKind::Unusable.into() }
    }
}

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self { kind, status: None, retry_after: None, service_error: None, clock: None, cause: None }
    }
}

impl From<HttpError> for Error {
    #[cold]
    fn from(cause: HttpError) -> Self {
        let kind = match cause.kind() {
            HttpErrorKind::Unreachable => ErrorKind::Unreachable,
            HttpErrorKind::TimedOut => ErrorKind::TimedOut,
            HttpErrorKind::BodyTooLarge => ErrorKind::UnexpectedResponse,
            HttpErrorKind::Unusable => ErrorKind::Unusable,
            _ => ErrorKind::Interrupted,
        };
        Self { cause: Some(Arc::new(cause)), ..kind.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Azure Communication Services ")?;
        if let Some(status) = self.status {
            write!(f, "answered {status}")?;
            match (self.code(), self.target()) {
                (Some(code), Some(target)) => write!(f, " ({code}, {target})")?,
                (Some(code), None) => write!(f, " ({code})")?,
                (None, _) => {}
            }
            f.write_str(": ")?;
        }
        f.write_str(match self.kind {
            ErrorKind::Invalid => "it finds something wrong with the request",
            ErrorKind::Unauthenticated if self.clock.is_some() => "it does not accept the access key or identity",
            ErrorKind::Unauthenticated => {
                "it does not accept the access key or identity; check the connection string, and the clock of this machine"
            }
            ErrorKind::InvalidTeamsToken => "it does not accept the Teams user's token; that user has to sign in again",
            ErrorKind::Forbidden => "this is not allowed; check the roles of the identity on the resource",
            ErrorKind::NotFound => "there is no such user, or not any more",
            ErrorKind::Throttled => "there were too many calls; wait before the next one",
            ErrorKind::Unavailable => "the service failed; try again later",
            ErrorKind::UnexpectedResponse => "the response is not in the contract of the API; check that the endpoint is right",
            ErrorKind::Unreachable => "cannot be reached",
            ErrorKind::Interrupted => "broke the connection before the response was complete",
            ErrorKind::TimedOut => "did not answer in time",
            ErrorKind::NoToken => "was not called: there is no token of the identity to call it with",
            ErrorKind::Unusable => "cannot be called: no client for it can be built like this",
        })?;
        self.clock.map_or(Ok(()), |clock| write!(f, ": {clock}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let service_error = self.service_error.as_deref().map(|error| error as _);
        service_error.or_else(|| self.cause.as_deref().map(|cause| cause as _))
    }
}

/// The error in a response of the service, as the cause of an [`Error`] and fit for a log.
///
/// Its message may repeat what was sent, addresses with the id of a person in them included. So only what looks like a word is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ServiceError {
    code: String,
    #[serde(default)]
    message: String,
    target: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ServiceError,
}

impl ServiceError {
    /// The error in `body`, if it has the form `{"error":{"code":…,"message":…,"target":…}}`.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let ErrorBody { error } = serde_json::from_slice(body).ok()?;
        Some(Self {
            code: name(error.code)?,
            message: without_secrets(&error.message),
            target: error.target.and_then(name),
        })
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service says {}: {}", self.code, self.message)?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, " (about {target})"))
    }
}

impl std::error::Error for ServiceError {}

/// A code or the name of a field.
fn name(text: String) -> Option<String> {
    let plain = (1..=MAX_WORD_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    plain.then_some(text)
}

/// The words of `message`, with `***` for anything else.
fn without_secrets(message: &str) -> String {
    let mut kept = String::new();
    for word in message.split_whitespace().map(|word| if is_word(word) { word } else { "***" }) {
        if kept.len() + word.len() >= MAX_MESSAGE_BYTES {
            return kept + "…";
        }
        let space = if kept.is_empty() { "" } else { " " };
        kept.extend([space, word]);
    }
    kept
}

/// Letters and digits, joined by no character that an address or an escape needs; punctuation around them is ignored.
fn is_word(text: &str) -> bool {
    let core = text.trim_matches(|c: char| c.is_ascii_punctuation());
    core.len() <= MAX_WORD_BYTES
        && core.chars().all(|c| c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<ServiceError> {
        ServiceError::parse(json.as_bytes())
    }

    #[test]
    fn the_services_words_are_kept() {
        let error = parse(
            r#"{"error":{"code":"ValidationError","message":"ExpiresInMinutes value 59 is invalid. Value must be within the [60, 1440] interval.","target":"ExpiresInMinutes","details":[{"code":"a"}],"innererror":{}}}"#,
        )
        .unwrap();
        assert_eq!((error.code.as_str(), error.target.as_deref()), ("ValidationError", Some("ExpiresInMinutes")));
        assert_eq!(
            error.to_string(),
            "the service says ValidationError: ExpiresInMinutes value 59 is invalid. Value must be within the [60, 1440] interval. (about ExpiresInMinutes)"
        );
        let error = parse(
            r#"{"error":{"code":"Denied","message":"Request 'x-ms-content-sha256' differs from generated content hash."}}"#,
        );
        assert_eq!(
            error.unwrap().to_string(),
            "the service says Denied: Request 'x-ms-content-sha256' differs from generated content hash."
        );
    }

    #[test]
    fn what_the_service_repeats_of_a_request_is_dropped() {
        for secret in [
            "http://h/identities/8:acs:a?api-version=1",
            "'8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081'",
            "8%3Aacs%3Aa,",
            "8:acs:a",
            "(11111111-2222-3333-4444-555555555555)",
            "eyJhbGciOiJIUzI1NiJ9.e30.9dUncTnmjixej-DT7yliIx7bOvrq8qPlLFT4mdoWfXk",
            "+3OqYUFvTRx8KkLQgdM8JC1XqO5/5XB9VsTPlUasCNs=",
        ] {
            let json = serde_json::json!({"error": {"code": "X", "message": format!("it is {secret}\u{1b} here")}});
            assert_eq!(parse(&json.to_string()).unwrap().message, "it is *** here", "{secret}");
        }
    }

    #[test]
    fn a_long_message_is_cut_off() {
        let json = serde_json::json!({"error": {"code": "X", "message": "word ".repeat(1_000)}});
        let message = parse(&json.to_string()).unwrap().message;
        assert!(message.len() < 510 && message.ends_with('…'), "{message}");
    }

    #[test]
    fn a_body_of_another_form_is_no_error() {
        for body in [
            "",
            "busy",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"error":"busy"}"#,
            r#"{"error":{"message":"no code"}}"#,
            r#"{"error":{"code":7,"message":"m"}}"#,
            r#"{"error":{"code":"8:acs:a","message":"m"}}"#,
            r#"{"error":{"code":"a\nb","message":"m"}}"#,
            r#"{"error":{"code":"Denied","message":"cut o"#,
        ] {
            assert_eq!(parse(body), None, "{body}");
        }
        let deep = r#"{"error":{"code":"X","innererror":"#.to_owned() + &r#"{"a":"#.repeat(10_000);
        assert_eq!(parse(&deep), None);
    }
}
