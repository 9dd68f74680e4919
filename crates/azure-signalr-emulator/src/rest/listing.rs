//! The connections of a group, page by page.
//!
//! A page begins after a connection, not at a number, so that nobody is skipped or told twice when others come and go
//! between two pages.

use axum::Json;
use axum::http::header;
use axum::http::uri::Authority;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use url::Url;

use super::call::{Call, connection_id, group_name};
use crate::hub::{ConnectionId, UserId};
use crate::refusal::Refusal;

/// Most connections on a page, and how many there are when nobody says.
const LARGEST_PAGE: u32 = 200;

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

pub(super) fn connections(call: &Call<'_>, hub: &str, group: &str) -> Result<Response, Refusal> {
    let (hub, group) = (call.hub(hub)?, group_name(group)?);
    let size = call.number("maxpagesize", 1..=LARGEST_PAGE)?;
    let top = call.number("top", 1..=u32::MAX)?;
    let token = call.query().last("continuationToken").filter(|token| !token.is_empty());
    let after = token.map(|token| connection_id(&token)).transpose()?;

    let count = size.unwrap_or(LARGEST_PAGE).min(top.unwrap_or(u32::MAX));
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

/// The address of the next page, at the host the caller used.
fn next_link(call: &Call<'_>, top: Option<u32>, last: &ConnectionId) -> Result<String, Refusal> {
    let mut url = base(call).ok_or_else(|| {
        Refusal::invalid(
            "Host",
            "the address of the next page begins with the header `Host`, and that is missing",
        )
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
