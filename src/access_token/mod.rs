//! `POST /api/access-token` issues a token for Azure Communication Services to a person who has signed in; `DELETE` revokes all of
//! theirs, and with `?forget=true` deletes their identity.
//!
//! Ids, names and addresses in a request are ignored.

use std::borrow::Cow;
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

use crate::auth::Person;
use crate::config::COMMUNICATION;
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
    Enabled(tokens): Enabled,
    person: Person,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    let body = body.map_err(|rejection| body_error(&rejection, Error::InvalidRequest))?;
    if !body.is_empty() && !is_json(&headers) {
        return Err(Error::UnsupportedMediaType);
    }
    let (request, timer) = (TokenRequest::parse(&body)?, UpstreamTimer::default());
    let issued = tokens.issue(&person, request, Instant::now(), &timer).await;
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
pub(crate) async fn revoke(Enabled(tokens): Enabled, person: Person, uri: Uri) -> Response {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let forgets = |(name, value): (Cow<str>, Cow<str>)| name == "forget" && value == "true";
    let timer = UpstreamTimer::default();
    let ended = if query.into_iter().any(forgets) {
        tokens.forget(&person, Instant::now(), &timer).await
    } else {
        tokens.revoke(&person, Instant::now(), &timer).await
    };
    (Extension(timer), ended.map(|()| StatusCode::NO_CONTENT)).into_response()
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
