//! One REST call: its parameters, and the limits on its size.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::BytesMut;
use futures_util::StreamExt as _;

use super::route::{Target, Version};
use crate::api_error::ApiError;
use crate::auth::Caller;
use crate::hub::{ConnectionId, GroupName, HubName, UserId};
use crate::request::Query;
use crate::service::{Recipients, Service};

/// Longest user or connection id, in characters.
const MAX_ID_CHARS: usize = 1024;

/// A call with a valid token, to an operation that its version has.
pub(super) struct Call<'a> {
    pub(super) service: &'a Arc<Service>,
    pub(super) parts: &'a Parts,
    /// The unchecked name of the hub.
    pub(super) hub: &'a str,
    pub(super) caller: Caller,
    pub(super) version: Version,
}

impl<'a> Call<'a> {
    pub(super) fn query(&self) -> Query<'a> {
        Query::new(self.parts.uri.query())
    }

    /// The hub of the path, in the application of the query.
    pub(super) fn hub(&self) -> Result<HubName, ApiError> {
        let application = self.query().last("application").filter(|application| !application.is_empty());
        let is_too_early = self.version < Version::V2022_06 && !self.service.options.lenient;
        if application.is_some() && is_too_early {
            let message = "`application` needs `api-version` 2022-06-01 or later; \
                before that, the call would reach the hub without an application";
            return Err(ApiError::invalid("application", message));
        }
        Ok(HubName::of_caller(application.as_deref(), self.hub)?)
    }

    /// The connections that the call excludes.
    pub(super) fn excluded(&self) -> HashSet<ConnectionId> {
        self.query().all("excluded").map(|id| ConnectionId::new(&id)).collect()
    }

    /// A whole number in the query, within `range`.
    pub(super) fn number(&self, name: &'static str, range: RangeInclusive<u32>) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.query().last(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (min, max) = range.into_inner();
            ApiError::invalid(name, format!("`{name}` must be a whole number from {min} to {max}"))
        })
    }
}

pub(super) fn recipients(target: Target<'_>) -> Result<Recipients, ApiError> {
    Ok(match target {
        Target::Hub => Recipients::Everyone,
        Target::Group(group) => Recipients::Group(group_name(group)?),
        Target::User(user) => Recipients::User(user_id(user)?),
        Target::Connection(connection) => Recipients::Connection(connection_id(connection)?),
    })
}

pub(super) fn group_name(name: &str) -> Result<GroupName, ApiError> {
    GroupName::new(name).map_err(|invalid| ApiError::invalid("group", invalid.to_string()))
}

pub(super) fn user_id(id: &str) -> Result<UserId, ApiError> {
    UserId::new(id).filter(|_| is_short_enough(id)).ok_or_else(|| invalid_id("user"))
}

pub(super) fn connection_id(id: &str) -> Result<ConnectionId, ApiError> {
    if !id.is_empty() && is_short_enough(id) { Ok(ConnectionId::new(id)) } else { Err(invalid_id("connectionId")) }
}

fn is_short_enough(id: &str) -> bool {
    id.chars().nth(MAX_ID_CHARS).is_none()
}

fn invalid_id(parameter: &'static str) -> ApiError {
    ApiError::invalid(parameter, format!("`{parameter}` must be 1 to {MAX_ID_CHARS} characters"))
}

/// Longest path with query, in bytes.
const MAX_URI_BYTES: usize = 12 << 10;

/// Longest headers, in bytes: names, values, and four more for each line.
const MAX_HEADERS_BYTES: usize = 16 << 10;

/// Checks the length of the URI and of the headers.
pub(super) fn check_size(parts: &Parts) -> Result<(), ApiError> {
    let uri = parts.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > MAX_URI_BYTES {
        let message = format!("path and query are {uri} bytes, more than the {MAX_URI_BYTES} the service reads");
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, "UriTooLong", message));
    }
    let headers = headers_length(&parts.headers);
    if headers > MAX_HEADERS_BYTES {
        let message = format!("the headers are {headers} bytes, more than the {MAX_HEADERS_BYTES} the service reads");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(ApiError::new(status, "HeadersTooLong", message));
    }
    Ok(())
}

fn headers_length(headers: &HeaderMap) -> usize {
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    lines.sum()
}

/// Largest body of a call, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Reads the whole body, chunked or not.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let broken = |error| {
            ApiError::body_timeout(&error).unwrap_or_else(|| ApiError::invalid("payload", "the body broke off"))
        };
        whole.extend_from_slice(&chunk.map_err(broken)?);
        if whole.len() > MAX_BODY_BYTES {
            let message = format!("the body is larger than {MAX_BODY_BYTES} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message));
        }
    }
    Ok(whole.freeze())
}
