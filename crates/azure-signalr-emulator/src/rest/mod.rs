//! The REST API, `/api/`: from a request to a refusal or to what was asked for.
//!
//! The order of the checks is part of the behaviour: what is unknown is 404 or 405 before anyone is asked for a token,
//! and only a caller with a valid token learns what is wrong with the rest, or that it is not emulated.

mod filter;
mod payload;
mod route;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::debug;

use crate::auth::Caller;
use crate::bearer;
use crate::hub::{ConnectionId, UserId};
use crate::hub_name::HubName;
use crate::path;
use crate::protocol::Message;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::service::{Audience, Service, unix_now};
use route::{Edition, Operation, Route, Target};

/// Versions of the API by the `api-version` they go by. The oldest of them did not ask for it.
const VERSIONS: [&str; 5] = ["2020-10-01", "2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01"];

/// Longest path with query, in bytes.
const LONGEST_URI: usize = 12 << 10;

/// Longest user or connection id, in characters.
const LONGEST_ID: usize = 1024;

/// Serves everything below `/api/`.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_v1 = parts.uri.path().starts_with("/api/v1/");
    match answer(&service, &parts, body).await {
        Ok(response) => response,
        Err(refusal) if is_v1 && refusal.is_bad_request() => refusal.into_text(),
        Err(refusal) => refusal.into_json(),
    }
}

async fn answer(service: &Service, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    check_length(parts)?;
    let path = path::segments(parts.uri.path())
        .map_err(|_| Refusal::invalid("path", "the path does not decode to UTF-8 text"))?;
    let route =
        route::find(&path).ok_or_else(|| Refusal::not_found("no operation of the REST API has this path"))?;
    let operation = operation(&route, &parts.method)?;
    let query = Query::new(parts.uri.query());
    let caller = match operation {
        Operation::Health => None,
        _ => Some(service.auth.caller(bearer::token(&parts.headers, None).as_deref(), &path, unix_now())?),
    };
    if caller.is_some() && !service.options.lenient {
        check_version(route.edition, query)?;
    }
    match operation {
        Operation::Health => Ok(StatusCode::OK.into_response()),
        Operation::AccessKey => access_key(service, caller),
        Operation::Send(target) => send(service, parts, body, target, route.edition).await,
        Operation::UserExists { hub, user } => {
            let exists = service.exists(&hub_name(query, hub)?, &Audience::User(user_id(user)?));
            existence(exists, "Warning.User.NotExisted", "the user has no connection")
        }
        Operation::ConnectionExists { hub, connection } => {
            let exists =
                service.exists(&hub_name(query, hub)?, &Audience::Connection(connection_id(connection)?));
            existence(exists, "Warning.Connection.NotExisted", "the connection does not exist")
        }
        Operation::NotEmulated(name) => Err(Refusal::not_emulated(name)),
    }
}

/// Lends a key. Who has one already needs none, and the real service gives it to identities only.
fn access_key(service: &Service, caller: Option<Caller>) -> Result<Response, Refusal> {
    let lent = service.auth.lend_key(unix_now()).ok_or_else(|| {
        Refusal::not_emulated("Giving out access keys to Entra identities, unless `Options::entra` is set")
    })?;
    match caller {
        Some(Caller::Identity) => Ok(([(header::CACHE_CONTROL, "no-store")], Json(lent)).into_response()),
        Some(Caller::KeyHolder) | None => {
            let message = "access keys are given to Microsoft Entra identities, and this caller has a key";
            Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message))
        }
    }
}

fn check_length(parts: &Parts) -> Result<(), Refusal> {
    let length = parts.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    if length <= LONGEST_URI {
        return Ok(());
    }
    let message = format!("path and query are {length} bytes, more than the {LONGEST_URI} the service reads");
    Err(Refusal::new(StatusCode::URI_TOO_LONG, "UriTooLong", message))
}

fn operation<'a>(route: &Route<'a>, method: &Method) -> Result<Operation<'a>, Refusal> {
    route.operation(method).ok_or_else(|| {
        let allow = route.allow();
        let message = format!("this path knows {allow}, not {method}");
        Refusal::method_not_allowed(allow, message)
    })
}

fn check_version(edition: Edition, query: Query<'_>) -> Result<(), Refusal> {
    if edition == Edition::V1 {
        return Ok(());
    }
    let known = VERSIONS.join(", ");
    let Some(version) = query.last("api-version") else {
        return Err(Refusal::invalid(
            "api-version",
            format!("`api-version` is missing in the query; known are {known}"),
        ));
    };
    if VERSIONS.contains(&&*version) {
        return Ok(());
    }
    Err(Refusal::invalid("api-version", format!("this `api-version` is not known; known are {known}")))
}

/// A message for a hub, a user or a connection. That nobody is there to receive it is no error.
async fn send(
    service: &Service,
    parts: &Parts,
    body: Body,
    target: Target<'_>,
    edition: Edition,
) -> Result<Response, Refusal> {
    let query = Query::new(parts.uri.query());
    let (hub, audience) = match target {
        Target::Hub { hub } => (hub, Audience::Everyone),
        Target::User { hub, user } => (hub, Audience::User(user_id(user)?)),
        Target::Connection { hub, connection } => (hub, Audience::Connection(connection_id(connection)?)),
    };
    let excluded = if audience == Audience::Everyone { excluded(query) } else { HashSet::new() };
    let hub = hub_name(query, hub)?;
    payload::check_content_type(&parts.headers, edition)?;
    let body = payload::read_body(body).await?;
    let payload = payload::parse(&body)?;
    let message = Message::invocation(payload.target, payload.arguments.to_owned());
    service.deliver(&hub, &audience, &excluded, &message);
    debug!(%hub, bytes = message.size(), "sent a message to hub {hub}");
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Whether someone is there. The code tells callers that a 404 is an answer and not a wrong address.
fn existence(exists: bool, code: &'static str, absent: &'static str) -> Result<Response, Refusal> {
    if exists {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(Refusal::new(StatusCode::NOT_FOUND, code, absent))
    }
}

fn hub_name(query: Query<'_>, hub: &str) -> Result<HubName, Refusal> {
    let application = query.last("application").filter(|application| !application.is_empty());
    Ok(HubName::of_caller(application.as_deref(), hub)?)
}

fn excluded(query: Query<'_>) -> HashSet<ConnectionId> {
    query.all("excluded").map(|id| ConnectionId::new(&id)).collect()
}

fn user_id(id: &str) -> Result<UserId, Refusal> {
    UserId::new(checked_id(id, "user")?).ok_or_else(|| bad_id("user"))
}

fn connection_id(id: &str) -> Result<ConnectionId, Refusal> {
    Ok(ConnectionId::new(checked_id(id, "connectionId")?))
}

fn checked_id<'a>(id: &'a str, parameter: &'static str) -> Result<&'a str, Refusal> {
    if (1..=LONGEST_ID).contains(&id.chars().count()) { Ok(id) } else { Err(bad_id(parameter)) }
}

fn bad_id(parameter: &'static str) -> Refusal {
    Refusal::invalid(parameter, format!("`{parameter}` must be 1 to {LONGEST_ID} characters"))
}
