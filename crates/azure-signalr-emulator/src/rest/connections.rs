//! Lists, finds and closes connections.

use std::collections::HashSet;

use axum::Json;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::info;
use url::Url;

use super::call::{Call, connection_id, group_name, recipients};
use super::route::{Target, Version};
use crate::api_error::ApiError;
use crate::hub::{ConnectionId, UserId};
use crate::service::CloseOptions;
use crate::service::Recipients;

/// Whether the target has a connection. The error code of a 404 says that the address is right.
pub(super) fn exists(call: &Call<'_>, target: Target<'_>) -> Result<Response, ApiError> {
    if call.service.exists(&call.hub()?, &recipients(target)?) {
        return Ok(StatusCode::OK.into_response());
    }
    Err(match target {
        Target::Hub => ApiError::not_found("the hub has no connection"),
        Target::Group(_) => ApiError::absent("Warning.Group.NotExisted", "the group has no connection"),
        Target::User(_) => ApiError::absent("Warning.User.NotExisted", "the user has no connection"),
        Target::Connection(_) => no_connection(),
    })
}

fn no_connection() -> ApiError {
    ApiError::absent("Warning.Connection.NotExisted", "the connection does not exist")
}

/// Most connections on a page, and the default.
const MAX_PAGE_SIZE: u32 = 200;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    value: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    connection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

/// Lists the connections of a group. A page begins after a connection id, so that none is skipped or repeated when others come and
/// go between two pages.
pub(super) fn list_group(call: &Call<'_>, group: &str) -> Result<Response, ApiError> {
    let (hub, group) = (call.hub()?, group_name(group)?);
    let size = call.number("maxpagesize", 1..=MAX_PAGE_SIZE)?;
    let top = call.number("top", 1..=u32::MAX)?;
    let token = call.query().last("continuationToken").filter(|token| !token.is_empty());
    let after = token.map(|token| connection_id(&token)).transpose()?;

    let count = size.unwrap_or(MAX_PAGE_SIZE).min(top.unwrap_or(u32::MAX));
    let (listed, is_last) = call.service.list_group(&hub, &group, after.as_ref(), count as usize);
    let left = top.map(|top| top - count);
    let next_link = match listed.last() {
        Some((last, _)) if !is_last && left != Some(0) => Some(next_link(call, left, last)?),
        _ => None,
    };
    Ok(Json(Page { value: listed.iter().map(entry).collect(), next_link }).into_response())
}

fn entry((id, user): &(ConnectionId, Option<UserId>)) -> Entry<'_> {
    Entry { connection_id: id.as_str(), user_id: user.as_ref().map(UserId::as_str) }
}

/// The URL of the next page, with the host of the request.
fn next_link(call: &Call<'_>, top: Option<u32>, last: &ConnectionId) -> Result<String, ApiError> {
    let mut url = base(call).ok_or_else(|| {
        ApiError::invalid("Host", "the URL of the next page begins with the header `Host`, which is missing")
    })?;
    url.set_path(call.parts.uri.path());
    let mut query = url.query_pairs_mut();
    for name in ["application", "maxpagesize"] {
        if let Some(value) = call.query().last(name) {
            query.append_pair(name, &value);
        }
    }
    if let Some(top) = top {
        query.append_pair("top", &top.to_string());
    }
    query.append_pair("continuationToken", last.as_str());
    query.append_pair("api-version", &call.version.to_string());
    drop(query);
    Ok(url.into())
}

fn base(call: &Call<'_>) -> Option<Url> {
    let host = call.parts.headers.get(header::HOST)?;
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    let mut url = Url::parse("http://localhost/").ok()?;
    url.set_host(Some(authority.host())).ok()?;
    url.set_port(authority.port_u16()).ok()?;
    Some(url)
}

/// Closes one connection, which has to exist.
pub(super) fn close(call: &Call<'_>, connection: &str) -> Result<Response, ApiError> {
    let (hub, connection) = (call.hub()?, Recipients::Connection(connection_id(connection)?));
    let closed = call.service.close(&hub, &connection, &HashSet::new(), &close_options(call));
    match (closed, call.version) {
        (0, _) => Err(no_connection()),
        (_, Version::V1) => Ok(StatusCode::ACCEPTED.into_response()),
        _ => Ok(StatusCode::OK.into_response()),
    }
}

/// Closes all connections of the target except the excluded ones; there may be none.
pub(super) fn close_all(call: &Call<'_>, target: Target<'_>) -> Result<Response, ApiError> {
    let (hub, recipients) = (call.hub()?, recipients(target)?);
    let closed = call.service.close(&hub, &recipients, &call.excluded(), &close_options(call));
    info!(%hub, closed, "closed {closed} connections of hub {hub}");
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn close_options(call: &Call<'_>) -> CloseOptions {
    let reason = call.query().last("reason").filter(|reason| !reason.is_empty());
    CloseOptions { reason: reason.map(Into::into), allow_reconnect: call.service.options.reconnect_after_close }
}
