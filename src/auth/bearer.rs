//! Access tokens of Microsoft Entra ID in `Authorization: Bearer`, for apps without App Service authentication.
//!
//! An invalid token is rejected, never downgraded to anonymous.

use std::time::SystemTime;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use azure_http::{HttpClient, HttpOptions};
use entra_jwt::{Error as TokenError, InvalidToken, User, Validator};

use crate::config::{BEARER_SCOPE, Bearer};
use crate::error::Error;

/// The validator of the tokens that `bearer` accepts. It requests the signing keys in the background.
///
/// # Errors
///
/// When no HTTP client can be built.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn validator(bearer: &Bearer) -> Result<Validator, azure_http::HttpError> {
    let http = HttpClient::new(&HttpOptions::default())?;
    Ok(Validator::start(bearer.authority.clone(), bearer.resource.clone(), &http))
}

/// The user of the request's token, or `None` without a token.
pub(crate) async fn user(validator: &Validator, headers: &HeaderMap) -> Result<Option<User>, Error> {
    let Some(token) = token(headers).map_err(Error::InvalidToken)? else { return Ok(None) };
    Ok(Some(validator.validate(token, SystemTime::now()).await?))
}

/// The token of the request. Other schemes are ignored; two values are an error.
fn token(headers: &HeaderMap) -> Result<Option<&str>, InvalidToken> {
    let mut values = headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes());
    let Some(token) = values.find_map(after_scheme) else { return Ok(None) };
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err(InvalidToken::Malformed);
    }
    std::str::from_utf8(token).map(Some).map_err(|_| InvalidToken::Malformed)
}

fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    scheme.eq_ignore_ascii_case(b"Bearer").then(|| token.trim_ascii())
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid(why) => Self::InvalidToken(why),
            TokenError::InsufficientScope => Self::InsufficientScope(BEARER_SCOPE),
            TokenError::KeysUnavailable { cause, retry_after } => Self::KeysUnavailable(cause, retry_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, InvalidToken> {
        let headers = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())).collect();
        token(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_what_follows_the_scheme_in_any_letter_case() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
            assert_eq!(read(&[value.as_bytes()]), Ok(Some("a.b.c".to_owned())), "{value}");
        }
        for empty in ["Bearer", "Bearer "] {
            assert_eq!(read(&[empty.as_bytes()]), Ok(Some(String::new())), "{empty}");
        }
    }

    #[test]
    fn other_schemes_are_not_tokens() {
        for values in [&[][..], &[&b"Basic YTpi"[..]], &[b"Bearerx a.b.c"], &[b""]] {
            assert_eq!(read(values), Ok(None));
        }
    }

    #[test]
    fn two_values_or_one_that_is_not_utf_8_are_malformed() {
        for values in [&[&b"Bearer a"[..], b"Bearer b"][..], &[b"Basic YTpi", b"Bearer b"], &[b"Bearer \xff"]] {
            assert_eq!(read(values), Err(InvalidToken::Malformed));
        }
    }
}
