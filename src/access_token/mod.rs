//! `POST /api/access-token` issues a token for Azure Communication Services to a person who has signed in; `DELETE` revokes all of
//! theirs, and with `?forget=true` deletes their identity.
//!
//! Ids, names and addresses in a request are ignored.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use azure_communication::Scope;
use jiff::Timestamp;
use serde::Serialize;

use crate::auth::{AuthConfig, Person};
use crate::config::{COMMUNICATION, parse_switch};
use crate::error::Error;
use crate::json_body::{body_error, is_json};
use crate::upstream_time::UpstreamTimer;

mod token_request;
mod token_service;

use token_request::TokenRequest;
use token_service::IssuedToken;
pub use token_service::TokenService;

/// The response: the shape of the official SDK's `createUserAndToken`, and the scopes of the token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    token: &'a str,
    expires_on: Timestamp,
    user: User<'a>,
    scopes: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    communication_user_id: &'a str,
}

pub(crate) async fn issue(
    Requester { tokens, person }: Requester,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    let body = body.map_err(|rejection| body_error(&rejection, Error::InvalidRequest))?;
    if !body.is_empty() && !is_json(&headers) {
        return Err(Error::UnsupportedMediaType);
    }
    let (request, timer) = (TokenRequest::parse(&body)?, UpstreamTimer::default());
    let issued = tokens.issue(&person, request, &timer).await;
    // For the access log.
    Ok((Extension(timer), issued.map(to_response)).into_response())
}

fn to_response(IssuedToken { user, token, grant }: IssuedToken) -> Response {
    let issued = Issued {
        token: token.secret(),
        expires_on: token.expires_on(),
        user: User { communication_user_id: user.as_str() },
        scopes: grant.scopes().iter().map(Scope::as_str).collect(),
    };
    ([(CACHE_CONTROL, "no-store")], Json(issued)).into_response()
}

/// Revokes the tokens of a person, or deletes their identity.
pub(crate) async fn revoke(Enabled(tokens): Enabled, person: Person, uri: Uri) -> Result<Response, Error> {
    let (forgets, timer) = (forgets(uri.query())?, UpstreamTimer::default());
    let ended = if forgets {
        tokens.forget(&person, Instant::now(), &timer).await
    } else {
        tokens.revoke(&person, Instant::now(), &timer).await
    };
    Ok((Extension(timer), ended.map(|()| StatusCode::NO_CONTENT)).into_response())
}

/// Whether a query asks to delete the identity: `forget`, a boolean as in settings. A value that is none must not be taken for `false`.
fn forgets(query: Option<&str>) -> Result<bool, Error> {
    const WRONG: Error = Error::InvalidRequest("parameter forget", "must be true or false, and occur once");
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("forget")).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) => parse_switch(&value).ok_or(WRONG),
        _ => Err(WRONG),
    }
}

/// The token service, if access tokens are configured.
pub(crate) struct Enabled(TokenService);

impl<S> FromRequestParts<S> for Enabled
where
    S: Send + Sync,
    Option<TokenService>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Error> {
        Option::from_ref(state).map(Self).ok_or(Error::Disabled(COMMUNICATION))
    }
}

/// A person who may request a token now. As an extractor it counts the request, before its body is read: an invalid one counts too, and
/// the requests of one person whose bodies are slow cannot take the place of all other calls.
pub(crate) struct Requester {
    tokens: TokenService,
    person: Person,
}

impl<S> FromRequestParts<S> for Requester
where
    S: Send + Sync,
    Option<TokenService>: FromRef<S>,
    AuthConfig: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Enabled(tokens) = Enabled::from_request_parts(parts, state).await?;
        let person = Person::from_request_parts(parts, state).await?;
        tokens.check_issue(&person, Instant::now())?;
        Ok(Self { tokens, person })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forget_is_a_boolean_as_in_settings() {
        for (query, expected) in [
            (None, false),
            (Some(""), false),
            (Some("code=key&x=1"), false),
            (Some("forget=true"), true),
            (Some("forget=True"), true),
            (Some("forget=TRUE"), true),
            (Some("forget=1"), true),
            (Some("Forget=true"), true),
            (Some("x=0&forget=tru%65"), true),
            (Some("forget=false"), false),
            (Some("forget=False"), false),
            (Some("forget=0"), false),
        ] {
            assert_eq!(forgets(query).unwrap(), expected, "{query:?}");
        }
    }

    #[test]
    fn any_other_value_of_forget_is_an_error_and_not_a_revoke() {
        for query in [
            "forget", "forget=", "forget=yes", "forget=on", "forget=2", "forget=-1", "forget=truee", "forget=%20true",
            "forget=true;", "forget=true&forget=false", "forget=true&forget=true", "forget=false&Forget=true",
        ] {
            let error = forgets(Some(query)).unwrap_err();
            assert!(matches!(error, Error::InvalidRequest("parameter forget", _)), "{query}");
        }
    }
}
