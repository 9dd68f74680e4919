//! Middleware around all other endpoints: injects request faults, and records requests in the traffic log; and the calls that
//! show the log.
//!
//! A WebSocket is recorded when it is opened, an event stream when it starts.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use super::ControlState;
use crate::api_error::ApiError;
use crate::diagnostics::{Diagnostics, to_milliseconds, unix_milliseconds};
use crate::fault_injection::{Endpoint, RequestEffect, RequestInfo};
use crate::hub_name::HubName;
use crate::request::{Query, path_segments};
use crate::traffic_log::{Numbered, RequestRecord, RingBuffer};

/// Parameters of the service whose values are not secret. Applications can add any others to a client's URL.
const HARMLESS_PARAMETERS: [&str; 16] = [
    "api-version",
    "application",
    "completed",
    "continuationtoken",
    "excluded",
    "filter",
    "hub",
    "maxpagesize",
    "minutestoexpire",
    "negotiateversion",
    "reason",
    "top",
    "ttl",
    "userid",
    "usestatefulreconnect",
    "_",
];

/// Parameters that are left out: the access token and the connection token.
const SECRET_PARAMETERS: [&str; 2] = ["access_token", "id"];

/// Middleware: serves the request, perhaps later, or ends it with a fault. CORS preflights do not get here.
pub(super) async fn inject_faults(
    State(diagnostics): State<Arc<Diagnostics>>,
    request: Request,
    next: Next,
) -> Response {
    let uri = request.uri();
    let (endpoint, hub) = (endpoint(uri.path()), hub(uri));
    let info = RequestInfo { endpoint, hub: hub.as_ref().map(HubName::as_str), path: uri.path() };
    let faults = diagnostics.faults().apply_to_request(info);
    if !faults.delay.is_zero() {
        tokio::time::sleep(faults.delay).await;
    }
    match faults.end {
        Some(RequestEffect::Answer { status, retry_after_seconds }) => {
            fault_response(endpoint, status, retry_after_seconds)
        }
        Some(RequestEffect::Refuse) => close_socket(),
        Some(RequestEffect::Delay { .. }) | None => next.run(request).await,
    }
}

fn endpoint(path: &str) -> Endpoint {
    match path.trim_end_matches('/') {
        "/client/negotiate" => Endpoint::Negotiate,
        "/client" => Endpoint::Connect,
        _ => Endpoint::Rest,
    }
}

/// The hub that a request names, if the name is valid.
fn hub(uri: &Uri) -> Option<HubName> {
    let query = Query::new(uri.query());
    let segments = path_segments(uri.path()).ok()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match *segments.as_slice() {
        ["api", "v1", "hubs", hub, ..] | ["api", "hubs", hub, ..] => {
            let application = query.last("application").filter(|application| !application.is_empty());
            HubName::of_caller(application.as_deref(), hub).ok()
        }
        ["client", ..] => HubName::of_client(&query.last("hub")?).ok(),
        _ => None,
    }
}

fn fault_response(endpoint: Endpoint, status: u16, retry_after_seconds: Option<u32>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = ApiError::new(status, "Emulator.Fault", "this answer is a fault that was asked for");
    let mut response = if endpoint == Endpoint::Rest { error.into_json() } else { error.into_text() };
    if let Some(seconds) = retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A response whose body fails before the head is sent: the server then closes the socket.
fn close_socket() -> Response {
    let failing = stream::iter([Err::<Bytes, _>(io::Error::other("a fault that was asked for"))]);
    let message = "the socket was closed instead of an answer, by a fault that was asked for";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let error = ApiError::new(status, "Emulator.Fault", message);
    (status, Extension(error), Body::from_stream(failing)).into_response()
}

/// Middleware: serves the request, and records it with its response.
pub(super) async fn record_request(
    State(diagnostics): State<Arc<Diagnostics>>,
    request: Request,
    next: Next,
) -> Response {
    let (at, start) = (unix_milliseconds(), Instant::now());
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(redact_query).unwrap_or_default();
    let response = next.run(request).await;
    let error = response.extensions().get::<ApiError>().map(|error| error.message().to_owned());
    diagnostics.traffic_log().push_request(RequestRecord {
        at,
        method,
        path,
        query,
        status: response.status().as_u16(),
        milliseconds: to_milliseconds(start.elapsed()),
        error,
    });
    response
}

/// The query without tokens. The values of unknown parameters are replaced by `***`.
fn redact_query(query: &str) -> String {
    let mut redacted = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let lower_case = name.to_ascii_lowercase();
        if SECRET_PARAMETERS.contains(&lower_case.as_str()) {
            continue;
        }
        let is_harmless = HARMLESS_PARAMETERS.contains(&lower_case.as_str());
        redacted.append_pair(&name, if is_harmless { &value } else { "***" });
    }
    redacted.finish()
}

/// `GET /emulator/calls`
pub(super) async fn requests(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Response {
    newer(query.as_deref(), |after| json!({"calls": list(&state.diagnostics.traffic_log().requests, after)}))
}

/// `GET /emulator/frames`
pub(super) async fn messages(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Response {
    newer(query.as_deref(), |after| json!({"frames": list(&state.diagnostics.traffic_log().messages, after)}))
}

/// `GET /emulator/posts`
pub(super) async fn posts(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Response {
    newer(query.as_deref(), |after| json!({"posts": list(&state.diagnostics.traffic_log().posts, after)}))
}

/// `DELETE /emulator/journal`
pub(super) async fn clear(State(state): State<ControlState>) -> StatusCode {
    state.diagnostics.traffic_log().clear();
    StatusCode::NO_CONTENT
}

/// The entries after the number in the query.
fn newer(query: Option<&str>, entries: impl FnOnce(u64) -> Value) -> Response {
    let after = Query::new(query).last("after");
    match after.as_deref().unwrap_or("0").parse() {
        Ok(after) => Json(entries(after)).into_response(),
        Err(_) => {
            let message = "`after` is the `number` of the last entry that is known";
            ApiError::invalid("after", message).into_json()
        }
    }
}

fn list<T>(entries: &RingBuffer<T>, after: u64) -> Vec<&Numbered<T>> {
    entries.after(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub_of(uri: &'static str) -> Option<String> {
        hub(&Uri::from_static(uri)).map(|hub| hub.as_str().to_owned())
    }

    #[test]
    fn the_hub_is_in_the_path_or_in_the_query() {
        assert_eq!(hub_of("/api/hubs/Chat/:send?application=App").unwrap(), "app_chat");
        assert_eq!(hub_of("/api/v1/hubs/chat").unwrap(), "chat");
        assert_eq!(hub_of("/client/?hub=Chat&id=x").unwrap(), "chat");
        for uri in ["/api/health?hub=chat", "/client/", "/api/hubs/1/:send", "/api/hubs/%FF"] {
            assert_eq!(hub_of(uri), None, "{uri}");
        }
    }

    #[test]
    fn the_path_determines_the_endpoint() {
        assert_eq!(endpoint("/client/negotiate/"), Endpoint::Negotiate);
        assert_eq!(endpoint("/client/"), Endpoint::Connect);
        assert_eq!(endpoint("/api/hubs/chat/:send"), Endpoint::Rest);
    }

    #[test]
    fn tokens_are_removed_from_a_query_in_any_spelling() {
        let query = "hub=chat&access_token=T&Access%5FToken=T&id=S&negotiateVersion=1";
        assert_eq!(redact_query(query), "hub=chat&negotiateVersion=1");
    }

    #[test]
    fn the_values_of_unknown_parameters_are_replaced() {
        assert_eq!(redact_query("hub=chat&jwt=secret&x"), "hub=chat&jwt=***&x=***");
    }
}
