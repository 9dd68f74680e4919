//! The REST API, `/api/`.
//!
//! The order of the checks is part of the behaviour: an unknown path or method is 404 or 405 without a token; all other errors
//! need a valid one.

mod call;
mod charset;
mod connections;
mod execute;
mod filter;
mod groups;
mod messages;
mod route;
mod tokens;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;
use crate::auth::Caller;
use crate::request::{Query, access_token, path_segments};
use crate::service::{Service, unix_now};
use call::{Call, check_size};
use route::{Action, Operation, Route, Version};

#[cfg(feature = "fuzzing")]
pub(crate) use filter::{Filter, Subject};

/// The paths of v1 begin with it, in any letter case.
const V1: &str = "/api/v1/";

/// Serves everything below `/api/`. Errors of v1 are plain text, those of later versions JSON.
pub(crate) async fn serve(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_v1 = parts.uri.path().get(..V1.len()).is_some_and(|start| start.eq_ignore_ascii_case(V1));
    match respond(&service, &parts, body).await {
        Ok(response) => response,
        Err(error) if is_v1 => error.into_text(),
        Err(error) => error.into_json(),
    }
}

async fn respond(service: &Arc<Service>, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    check_size(parts)?;
    let path = path_segments(parts.uri.path())
        .map_err(|_| ApiError::invalid("path", "the path does not decode to UTF-8 text"))?;
    let route = route::find(&path).ok_or_else(|| ApiError::not_found("no operation of the REST API has this path"))?;
    let Action { operation, since, .. } = action(&route, &parts.method)?;
    if operation == Operation::Health {
        return Ok(StatusCode::OK.into_response());
    }
    let caller = authorize(service, parts, &path)?;
    let version = version(service, &route, since, Query::new(parts.uri.query()))?;
    serve_call(&Call { service, parts, hub: route.hub, caller, version }, operation, body).await
}

fn action<'a>(route: &Route<'a>, method: &Method) -> Result<Action<'a>, ApiError> {
    route.action(method).ok_or_else(|| {
        let allow = route.allow();
        let message = format!("this path supports {allow}, not {method}");
        ApiError::method_not_allowed(allow, message)
    })
}

/// The version of a call, which must have the operation. In lenient mode a missing, unknown or too old version is the newest.
fn version(service: &Service, route: &Route<'_>, since: Version, query: Query<'_>) -> Result<Version, ApiError> {
    let version = if route.is_v1 { Ok(Version::V1) } else { Version::of_query(query) };
    match version.and_then(|version| version.at_least(since)) {
        Err(_) if service.options.lenient => Ok(Version::NEWEST),
        version => version,
    }
}

fn authorize(service: &Service, parts: &Parts, path: &[String]) -> Result<Caller, ApiError> {
    let token = access_token(&parts.headers, None)?;
    Ok(service.auth.authorize_caller(token, path, unix_now())?)
}

async fn serve_call(call: &Call<'_>, operation: Operation<'_>, body: Body) -> Result<Response, ApiError> {
    match operation {
        Operation::Health => Ok(StatusCode::OK.into_response()),
        Operation::CreateAccessKey => tokens::create_access_key(call),
        Operation::GenerateToken => tokens::generate(call),
        Operation::Send(target) => messages::send(call, target, body).await,
        Operation::Exists(target) => connections::exists(call, target),
        Operation::CloseConnections(target) => connections::close_all(call, target),
        Operation::CloseConnection(connection) => connections::close(call, connection),
        Operation::ListConnections(group) => connections::list_group(call, group),
        Operation::AddConnection(membership) => groups::add_connection(call, membership),
        Operation::RemoveConnection(membership) => groups::remove_connection(call, membership),
        Operation::RemoveConnectionFromAll(connection) => groups::remove_connection_from_all(call, connection),
        Operation::HasUser(membership) => groups::has_user(call, membership),
        Operation::AddUser(membership) => groups::add_user(call, membership),
        Operation::RemoveUser(membership) => groups::remove_user(call, membership),
        Operation::RemoveUserFromAll(user) => groups::remove_user_from_all(call, user),
        Operation::Execute => execute::execute(call, body).await,
        Operation::Invoke(connection) => messages::invoke(call, connection, body).await,
        Operation::SendItem(stream) => messages::send_item(call, stream, body).await,
        Operation::CompleteStream(stream) => messages::complete_stream(call, stream),
    }
}
