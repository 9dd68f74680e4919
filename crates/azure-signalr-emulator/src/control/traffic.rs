//! Records requests in the traffic log, and lists the log.
//!
//! A WebSocket is recorded when it is opened, an event stream when it starts.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::Instant;
use url::form_urlencoded;

use super::ControlState;
use crate::api_error::ApiError;
use crate::diagnostics::{Diagnostics, to_milliseconds, unix_milliseconds};
use crate::request::{Query, pairs};
use crate::traffic_log::{Numbered, RequestRecord, RingBuffer};

/// Parameters of the service whose values are not secret. Applications can add any others to a client's URL.
const HARMLESS_PARAMETERS: [&str; 16] = [
    "api-version", "application", "completed", "continuationtoken", "excluded", "filter", "hub", "maxpagesize",
    "minutestoexpire", "negotiateversion", "reason", "top", "ttl", "userid", "usestatefulreconnect", "_",
];

/// Parameters that are left out: the access token and the connection token.
const SECRET_PARAMETERS: [&str; 2] = ["access_token", "id"];

/// Middleware: serves the request, and records it with its response.
pub(super) async fn record(State(diagnostics): State<Arc<Diagnostics>>, request: Request, next: Next) -> Response {
    let (at, start) = (unix_milliseconds(), Instant::now());
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(redact_query).unwrap_or_default();
    let response = next.run(request).await;
    let error = response.extensions().get::<ApiError>().map(|error| error.message().to_owned());
    let (status, milliseconds) = (response.status().as_u16(), to_milliseconds(start.elapsed()));
    let record = RequestRecord { at, method, path, query, status, milliseconds, error };
    diagnostics.traffic_log().push_request(record);
    response
}

/// The query without tokens. The values of unknown parameters are replaced by `***`.
fn redact_query(query: &str) -> String {
    let mut redacted = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs(query) {
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
    newer("calls", query.as_deref(), |after| list(&state.diagnostics.traffic_log().requests, after))
}

/// `GET /emulator/frames`
pub(super) async fn messages(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Response {
    newer("frames", query.as_deref(), |after| list(&state.diagnostics.traffic_log().messages, after))
}

/// `GET /emulator/posts`
pub(super) async fn posts(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Response {
    newer("posts", query.as_deref(), |after| list(&state.diagnostics.traffic_log().posts, after))
}

/// `DELETE /emulator/journal`
pub(super) async fn clear(State(state): State<ControlState>) -> StatusCode {
    state.diagnostics.traffic_log().clear();
    StatusCode::NO_CONTENT
}

/// The entries after the number in the query, as the property `name`.
fn newer<T: Serialize>(
    name: &str,
    query: Option<&str>,
    entries: impl FnOnce(u64) -> Vec<Arc<Numbered<T>>>,
) -> Response {
    let after = Query::new(query).last("after");
    match after.as_deref().unwrap_or("0").parse() {
        Ok(after) => {
            let entries = entries(after);
            Json(HashMap::from([(name, entries.iter().map(|entry| &**entry).collect::<Vec<_>>())])).into_response()
        }
        Err(_) => {
            let message = "`after` is the `number` of the last entry that is known";
            ApiError::invalid("after", message).into_json()
        }
    }
}

/// The entries, to be serialized after the lock of the log is released.
fn list<T>(entries: &RingBuffer<T>, after: u64) -> Vec<Arc<Numbered<T>>> {
    entries.after(after).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
