//! The test's side of the emulator over HTTP, for tests in other languages: below `/_emulator/`, where the service has nothing.
//!
//! There is no credential here, and access keys can be had: so it answers only who is on this machine and is no web page.

use std::net::{IpAddr, SocketAddr};

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::{Calls, Clock, Emulator, Fault, IdentityRecord, Introspection, KeySlot};

pub(crate) fn router(emulator: Emulator) -> Router {
    Router::new()
        .route("/_emulator/calls", get(calls))
        .route("/_emulator/identities", get(identities))
        .route("/_emulator/introspect", post(introspect))
        .route("/_emulator/clock", get(clock).put(set_clock))
        .route("/_emulator/faults", post(inject).delete(clear_faults))
        .route("/_emulator/keys/{slot}/regenerate", post(regenerate_key))
        .route_layer(middleware::from_fn(only_this_machine))
        .with_state(emulator)
}

async fn calls(State(emulator): State<Emulator>) -> Json<Calls> {
    Json(emulator.calls())
}

async fn identities(State(emulator): State<Emulator>) -> Json<Vec<IdentityRecord>> {
    Json(emulator.identities())
}

/// A token is asked about in a body, since addresses end up in logs.
#[derive(Deserialize)]
struct Asked {
    token: String,
}

/// `null` for what is no token of this emulator's.
async fn introspect(
    State(emulator): State<Emulator>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Option<Introspection>>, Response> {
    let Json(Asked { token }) = asked.map_err(|_| refused(r#"send {"token":"…"} as application/json"#))?;
    Ok(Json(emulator.introspect(&token)))
}

async fn clock(State(emulator): State<Emulator>) -> Response {
    Json(json!({"clock": emulator.clock(), "now": emulator.now()})).into_response()
}

async fn set_clock(
    State(emulator): State<Emulator>,
    clock: Result<Json<Clock>, JsonRejection>,
) -> Result<StatusCode, Response> {
    let expected = r#"send {"running":{"ahead":seconds}} or {"standing":{"at":seconds}} as application/json"#;
    let Json(clock) = clock.map_err(|_| refused(expected))?;
    emulator.set_clock(clock);
    Ok(StatusCode::NO_CONTENT)
}

async fn inject(
    State(emulator): State<Emulator>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Result<StatusCode, Response> {
    let Json(fault) = fault.map_err(|rejection| refused(&rejection.body_text()))?;
    emulator.inject(fault).map_err(|error| refused(&error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(emulator): State<Emulator>) -> StatusCode {
    emulator.clear_faults();
    StatusCode::NO_CONTENT
}

/// Answers with the connection string that holds the new key.
async fn regenerate_key(
    State(emulator): State<Emulator>,
    Path(slot): Path<KeySlot>,
    headers: HeaderMap,
) -> Response {
    emulator.regenerate_key(slot);
    // The guard let it pass, so it is a loopback name.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let connection_string = emulator.connection_string_with(slot, &["http://", host].concat());
    let body = Json(json!({"connectionString": connection_string}));
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Binding a loopback address does not keep web pages out: a page may point a name of its own here, or just send. The first
/// gives itself away by `Host`, the second by `Origin`.
async fn only_this_machine(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let from_elsewhere = peer.is_some_and(|ConnectInfo(peer)| !peer.ip().to_canonical().is_loopback());
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let to_here = host.is_some_and(is_loopback);
    if from_elsewhere || !to_here || request.headers().contains_key(header::ORIGIN) {
        let message = "the test's side answers programs on this machine only: no other Host, no Origin";
        return (StatusCode::FORBIDDEN, Json(json!({"error": {"code": "Forbidden", "message": message}})))
            .into_response();
    }
    next.run(request).await
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
}

fn refused(message: &str) -> Response {
    let body = json!({"error": {"code": "BadRequest", "message": message}});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        for host in ["localhost", "LOCALHOST:8889", "127.0.0.1:1", "127.9.9.9", "[::1]:8889"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com", "user@localhost", "10.0.0.1", "[::]:1", "0.0.0.0"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
