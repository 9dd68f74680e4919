//! What an answer means: the body of a yes, or why it is none.
//!
//! Nobody says that an answer comes from the service: it may be of any length, come at any pace and be in any language.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::{Instant, timeout_at};

use crate::access_token::{AccessToken, WireToken};
use crate::error::Error;
use crate::service_error::ServiceError;
use crate::user_id::UserId;

/// In bytes. A token has a few thousand.
const LONGEST_BODY: usize = 64 * 1_024;

/// For the words of a refusal. That it is one is known already, and worth more than its words.
const PATIENCE_FOR_WORDS: Duration = Duration::from_secs(1);

/// The body of an answer with the status `expected`.
pub(crate) async fn read(
    response: Response,
    expected: StatusCode,
    now: Timestamp,
    deadline: Instant,
) -> Result<Body, Error> {
    let status = response.status();
    if status == expected {
        return Ok(Body { status, bytes: body(response).await? });
    }
    let retry_after = retry_after(response.headers(), now);
    let patience = deadline.min(Instant::now() + PATIENCE_FOR_WORDS);
    let words = timeout_at(patience, body(response)).await.ok().and_then(Result::ok);
    let words = words.and_then(|body| ServiceError::parse(&body));
    Err(Error::refused(status.as_u16(), retry_after, words))
}

/// The body of an answer that is a yes.
pub(crate) struct Body {
    status: StatusCode,
    bytes: Vec<u8>,
}

impl Body {
    /// What a yes without words has.
    pub(crate) fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, bytes: Vec::new() }
    }

    /// `{"identity":{"id":…},"accessToken":{…}}`, the latter only where one was asked for.
    pub(crate) fn created(&self) -> Result<(UserId, Option<AccessToken>), Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            identity: Identity,
            access_token: Option<WireToken>,
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

    /// The answer has no token, though one was asked for.
    pub(crate) fn without_token(&self) -> Error {
        self.unexpected(Unexpected::NoToken)
    }

    fn usable(&self, token: WireToken) -> Result<AccessToken, Error> {
        token.into_token().ok_or_else(|| self.without_token())
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes)
            .map_err(|error| self.unexpected(Unexpected::Json(error.classify())))
    }

    fn unexpected(&self, what: Unexpected) -> Error {
        Error::unexpected(self.status.as_u16(), what)
    }
}

/// What an answer has instead of what it should. The words of `serde_json` are not among it: they repeat what they read.
#[derive(Debug)]
enum Unexpected {
    Json(Category),
    UserId,
    NoToken,
    TooLong,
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json(Category::Data) => "the answer is JSON of another form",
            Self::Json(Category::Eof) => "the answer ends too early",
            Self::Json(Category::Syntax | Category::Io) => "the answer is not JSON",
            Self::UserId => "the answer has no usable user id",
            Self::NoToken => "the answer has no token",
            Self::TooLong => "the answer is longer than 64 KiB",
        })
    }
}

impl std::error::Error for Unexpected {}

async fn body(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::from_http)? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Error::unexpected(response.status().as_u16(), Unexpected::TooLong));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `Retry-After`, in either of the forms HTTP has for it.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(until(DateTimeParser::new().parse_timestamp(text).ok()?, now)))
}

/// In whole seconds, as HTTP counts.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    let seconds = then.as_second().saturating_sub(now.as_second());
    Duration::from_secs(seconds.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::new(1_697_643_256, 999_999_999).unwrap()
    }

    fn asked(text: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now())
    }

    fn body(json: &str) -> Body {
        Body { status: StatusCode::CREATED, bytes: json.into() }
    }

    #[test]
    fn both_ways_to_say_when_to_come_back_are_understood() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked("0"), seconds(0));
        assert_eq!(asked("30"), seconds(30));
        assert_eq!(asked("Wed, 18 Oct 2023 15:35:16 GMT"), seconds(60));
        assert_eq!(asked("Wed, 18 Oct 2023 15:33:16 GMT"), seconds(0));
        assert_eq!(asked("18446744073709551615"), seconds(u64::MAX));
        for nonsense in ["", "-1", "1.5", "soon", "99999999999999999999"] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
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
    fn an_answer_that_is_none_is_not_repeated_in_its_error() {
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
}
