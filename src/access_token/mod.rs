//! `POST /api/access-token`: a token for Azure Communication Services, for whoever is signed in and for nobody else; `DELETE` ends all of
//! theirs, and with `?forget=true` their identity too.
//!
//! The caller has no say in who they are: no id, name or address in a request is looked at.

use std::borrow::Cow;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use azure_communication::Scope;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::COMMUNICATION;
use crate::error::Error;
use crate::json_body::is_json;
use crate::principal::Person;
use crate::waited::Waited;

mod desk;
mod limit;
mod policy;

pub use desk::Desk;
use desk::Pass;
use policy::Wish;

/// What the caller gets: the shape of the official SDK's `createUserAndToken`, and what the token is good for, since a token is not
/// to be read.
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
    Open(desk): Open,
    person: Person,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    let body = body.map_err(unread)?;
    if !body.is_empty() && !is_json(&headers) {
        return Err(Error::UnsupportedMediaType);
    }
    let (wish, waited) = (Wish::parse(&body)?, Waited::default());
    let pass = desk.issue(&person, wish, Instant::now(), &waited).await;
    Ok(telling(waited, pass.map(handed_out)))
}

fn handed_out(Pass { user, token, grant }: Pass) -> impl IntoResponse {
    let issued = Issued {
        token: token.secret(),
        expires_on: token.expires_on(),
        user: User { communication_user_id: user.as_str() },
        scopes: grant.scopes().iter().map(Scope::as_str).collect(),
    };
    ([(CACHE_CONTROL, "no-store")], Json(issued)).into_response()
}

/// The answer, and for the log what it took.
fn telling(waited: Waited, outcome: Result<impl IntoResponse, Error>) -> Response {
    let mut response = outcome.into_response();
    response.extensions_mut().insert(waited);
    response
}

/// Signs a person out of calls everywhere; with `?forget=true` for good, as deleting an account does.
pub(crate) async fn revoke(Open(desk): Open, person: Person, uri: Uri) -> Response {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let forgets = |(name, value): (Cow<str>, Cow<str>)| name == "forget" && value == "true";
    let waited = Waited::default();
    let ended = if query.into_iter().any(forgets) {
        desk.forget(&person, Instant::now(), &waited).await
    } else {
        desk.revoke(&person, Instant::now(), &waited).await
    };
    telling(waited, ended.map(|()| StatusCode::NO_CONTENT))
}

fn unread(rejection: BytesRejection) -> Error {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge,
        _ => Error::InvalidRequest("body", "broke off; send it again"),
    }
}

/// The desk, where there is one.
pub(crate) struct Open(Desk);

impl<S> FromRequestParts<S> for Open
where
    S: Send + Sync,
    Option<Desk>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Error> {
        Option::from_ref(state).map(Self).ok_or(Error::Off(COMMUNICATION))
    }
}
