//! The REST API, `/api/`: from a request to a refusal or to what was asked for.
//!
//! The order of the checks is part of the behaviour: what is unknown is 404 or 405 before anyone is asked for a token,
//! and only a caller with a valid token learns what is wrong with the rest, or that it is not emulated.

mod access_key;
mod body;
mod call;
mod close;
mod connection_groups;
mod execute;
mod exists;
mod filter;
mod invoke;
mod limits;
mod listing;
mod payload;
mod route;
mod send;
mod streams;
mod token;
mod user_groups;
mod version;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::auth::Caller;
use crate::bearer;
use crate::path;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::service::{Service, unix_now};
#[cfg(feature = "fuzzing")]
pub(crate) use filter::{Filter, Subject};

use call::Call;
use route::{Choice, Operation, Route};
use streams::Stream;
use version::Version;

/// Serves everything below `/api/`. The first version worded its errors as plain text, all later ones as JSON.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_v1 = parts.uri.path().starts_with("/api/v1/");
    match answer(&service, &parts, body).await {
        Ok(response) => response,
        Err(refusal) if is_v1 => refusal.into_text(),
        Err(refusal) => refusal.into_json(),
    }
}

async fn answer(service: &Service, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    limits::check(parts)?;
    let path = path::segments(parts.uri.path())
        .map_err(|_| Refusal::invalid("path", "the path does not decode to UTF-8 text"))?;
    let route =
        route::find(&path).ok_or_else(|| Refusal::not_found("no operation of the REST API has this path"))?;
    let Choice { operation, since, .. } = choice(&route, &parts.method)?;
    if operation == Operation::Health {
        return Ok(StatusCode::OK.into_response());
    }
    let caller = admit(service, parts, &path)?;
    let version = version(service, &route, since, Query::new(parts.uri.query()))?;
    serve_call(&Call { service, parts, caller, version }, operation, body).await
}

fn choice<'a>(route: &Route<'a>, method: &Method) -> Result<Choice<'a>, Refusal> {
    route.choice(method).ok_or_else(|| {
        let allow = route.allow();
        let message = format!("this path knows {allow}, not {method}");
        Refusal::method_not_allowed(allow, message)
    })
}

/// The version of a call, which must have the operation. Who is lenient takes what names no version, or one that
/// is too old, for the newest.
fn version(
    service: &Service,
    route: &Route<'_>,
    since: Version,
    query: Query<'_>,
) -> Result<Version, Refusal> {
    let version = if route.is_v1 { Ok(Version::V1) } else { Version::of_query(query) };
    match version.and_then(|version| version.at_least(since)) {
        Err(_) if service.options.lenient => Ok(Version::NEWEST),
        version => version,
    }
}

fn admit(service: &Service, parts: &Parts, path: &[String]) -> Result<Caller, Refusal> {
    let token = bearer::token(&parts.headers, None);
    token.as_deref().map_or(Ok(()), limits::check_token)?;
    Ok(service.auth.caller(token.as_deref(), path, unix_now())?)
}

async fn serve_call(call: &Call<'_>, operation: Operation<'_>, body: Body) -> Result<Response, Refusal> {
    match operation {
        Operation::Health => Ok(StatusCode::OK.into_response()),
        Operation::AccessKey => access_key::lend(call),
        Operation::GenerateToken { hub } => token::generate(call, hub),
        Operation::Send { hub, target } => send::send(call, hub, target, body).await,
        Operation::Exists { hub, target } => exists::exists(call, hub, target),
        Operation::CloseConnections { hub, target } => close::connections(call, hub, target),
        Operation::CloseConnection { hub, connection } => close::connection(call, hub, connection),
        Operation::ListConnections { hub, group } => listing::connections(call, hub, group),
        Operation::AddConnection { hub, group, connection } => {
            connection_groups::add(call, hub, group, connection)
        }
        Operation::RemoveConnection { hub, group, connection } => {
            connection_groups::remove(call, hub, group, connection)
        }
        Operation::RemoveConnectionFromAll { hub, connection } => {
            connection_groups::remove_from_all(call, hub, connection)
        }
        Operation::HasUser { hub, group, user } => user_groups::has(call, hub, group, user),
        Operation::AddUser { hub, group, user } => user_groups::add(call, hub, group, user),
        Operation::RemoveUser { hub, group, user } => user_groups::remove(call, hub, group, user),
        Operation::RemoveUserFromAll { hub, user } => user_groups::remove_from_all(call, hub, user),
        Operation::Execute { hub } => execute::execute(call, hub, body).await,
        Operation::Invoke { hub, connection } => invoke::invoke(call, hub, connection, body).await,
        Operation::SendItem { hub, connection, stream } => {
            streams::send(call, Stream { hub, connection, id: stream }, body).await
        }
        Operation::CompleteStream { hub, connection, stream } => {
            streams::complete(call, Stream { hub, connection, id: stream })
        }
    }
}
