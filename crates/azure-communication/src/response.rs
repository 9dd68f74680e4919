//! The responses of the API: created users, access tokens, errors.
//!
//! It is not certain that a response comes from the service, so its body may be of any length, speed and content.

use std::time::{Duration, SystemTime};

use azure_http::{HttpError, HttpErrorKind, Response, Secret};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use crate::error::{Error, ServiceError};
use crate::parameters::UserId;

/// The longest body that is read; a token has a few thousand bytes.
const MAX_BODY_BYTES: usize = 64 * 1_024;

/// For the body of an error response: its status is known already and worth more.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The body of a response with the status `expected`.
pub(crate) async fn read(response: Response, expected: u16, now: Timestamp) -> Result<Body, Error> {
    let status = response.status();
    if status == expected {
        let bytes = response.body(MAX_BODY_BYTES).await.map_err(|error: HttpError| match error.kind() {
            HttpErrorKind::BodyTooLarge => Error::unexpected(status, Unexpected::TooLong),
            _ => error.into(),
        })?;
        return Ok(Body { status, bytes });
    }
    let now = SystemTime::from(now);
    let (retry_after, clock) = (response.retry_after(now), response.clock_difference(now));
    let body = timeout(ERROR_BODY_TIMEOUT, response.body(MAX_BODY_BYTES)).await.ok().and_then(Result::ok);
    let service_error = body.and_then(|body| ServiceError::parse(&body));
    Err(Error::rejected(status, retry_after, service_error).with_clock(clock))
}

/// An access token of a user, and when it expires. Its `Debug` form does not show the token.
///
/// It is a JSON Web Token, but its claims are in no contract; the service sends its end beside it.
#[derive(Clone, Debug)]
pub struct AccessToken {
    token: Secret,
    expires_on: Timestamp,
}

impl AccessToken {
    /// The token itself, to be sent to its user only.
    pub fn secret(&self) -> &str {
        self.token.expose()
    }

    /// When it expires.
    pub fn expires_on(&self) -> Timestamp {
        self.expires_on
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenBody {
    token: String,
    expires_on: Timestamp,
}

/// The body of a response with the expected status.
pub(crate) struct Body {
    status: u16,
    bytes: Vec<u8>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self { status: 204, bytes: Vec::new() }
    }

    /// `{"identity":{"id":…},"accessToken":{…}}`, the latter only if one was requested.
    pub(crate) fn created(&self) -> Result<(UserId, Option<AccessToken>), Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            identity: Identity,
            access_token: Option<TokenBody>,
        }
        #[derive(Deserialize)]
        struct Identity {
            id: String,
        }
        let Created { identity, access_token } = self.json()?;
        let user = identity.id.parse().map_err(|_| self.unexpected(Unexpected::UserId))?;
        let token = access_token.map(|token| self.usable(token)).transpose()?;
        Ok((user, token))
    }

    /// `{"token":…,"expiresOn":…}`
    pub(crate) fn token(&self) -> Result<AccessToken, Error> {
        self.usable(self.json()?)
    }

    pub(crate) fn without_token(&self) -> Error {
        self.unexpected(Unexpected::NoToken)
    }

    fn usable(&self, TokenBody { token, expires_on }: TokenBody) -> Result<AccessToken, Error> {
        if token.is_empty() {
            return Err(self.without_token());
        }
        Ok(AccessToken { token: Secret::new(token), expires_on })
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            self.unexpected(match error.classify() {
                Category::Data => Unexpected::AnotherForm,
                Category::Eof => Unexpected::TooShort,
                Category::Syntax | Category::Io => Unexpected::NotJson,
            })
        })
    }

    fn unexpected(&self, what: Unexpected) -> Error {
        Error::unexpected(self.status, what)
    }
}

/// What is wrong with a body. The messages of `serde_json` are left out, since they repeat what they read.
#[derive(Debug, thiserror::Error)]
enum Unexpected {
    #[error("the response is JSON of another form")]
    AnotherForm,
    #[error("the response ends too early")]
    TooShort,
    #[error("the response is not JSON")]
    NotJson,
    #[error("the response has no usable user id")]
    UserId,
    #[error("the response has no token")]
    NoToken,
    #[error("the response is longer than 64 KiB")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: &str) -> Body {
        Body { status: 201, bytes: json.into() }
    }

    #[test]
    fn an_identity_comes_with_a_token_or_without() {
        let (user, token) = body(r#"{"identity":{"id":"8:acs:a_b"}}"#).created().unwrap();
        assert_eq!((user.as_str(), token.is_none()), ("8:acs:a_b", true));
        let json = r#"{"identity":{"id":"8:acs:a_b","new":1},"accessToken":{"token":"t","expiresOn":"2023-10-19T15:34:15.5010629+00:00"},"new":2}"#;
        let (_, token) = body(json).created().unwrap();
        assert_eq!(token.unwrap().secret(), "t");
    }

    #[test]
    fn a_body_of_another_form_is_not_repeated_in_its_error() {
        for json in [
            "",
            "hush",
            "\"hush\"",
            "{\"identity\":{\"id\":\"hush",
            r#"{"identity":"hush"}"#,
            r#"{"identity":{"id":"hush hush"}}"#,
            r#"{"identity":{"id":"h"},"accessToken":{"token":"","expiresOn":"2023-10-19T15:34:15Z"}}"#,
            r#"{"identity":{"id":"h"},"accessToken":{"token":"h","expiresOn":"hush"}}"#,
        ] {
            let error = body(json).created().unwrap_err();
            assert!(error.may_have_been_done() && !error.is_retryable());
            assert!(!format!("{error} {error:?}").contains("hush"), "{json}");
        }
    }

    fn read(expires_on: &str) -> Option<AccessToken> {
        let json = serde_json::json!({"token": "hush", "expiresOn": expires_on}).to_string();
        body(&json).token().ok()
    }

    #[test]
    fn case_6_the_expiry_is_read_with_and_without_fractions_and_offsets() {
        let second = Timestamp::from_second(1_697_729_655).unwrap();
        for (text, nanoseconds) in [
            ("2023-10-19T15:34:15+00:00", 0),
            ("2023-10-19T15:34:15Z", 0),
            ("2023-10-19T15:34:15.501+00:00", 501_000_000),
            ("2023-10-19T15:34:15.501Z", 501_000_000),
            ("2023-10-19T15:34:15.5010629+00:00", 501_062_900),
            ("2023-10-19T15:34:15.5010629Z", 501_062_900),
        ] {
            let expected = second.checked_add(jiff::SignedDuration::from_nanos(nanoseconds)).unwrap();
            assert_eq!(read(text).unwrap().expires_on(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_time_is_no_expiry() {
        for text in ["", "soon", "2023-10-19", "2023-10-19T15:34:15", "2023-13-19T15:34:15Z", "1697729655"] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let token = read("2023-10-19T15:34:15Z").unwrap();
        assert_eq!(token.secret(), "hush");
        assert!(!format!("{token:?}").contains("hush"));
    }
}
