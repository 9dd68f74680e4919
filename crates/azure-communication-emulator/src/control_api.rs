//! The control API below `/_emulator/`: the methods of `Emulator` over HTTP, for tests in other languages.
//!
//! It needs no credential and returns access keys; the server restricts it to programs on this machine.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::access_keys::KeyType;
use crate::access_token::Introspection;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::identity_store::IdentityRecord;
use crate::options::Clock;
use crate::resource::CallCounts;

pub(crate) fn router(emulator: Emulator) -> Router {
    Router::new()
        .route("/_emulator/calls", get(calls))
        .route("/_emulator/identities", get(identities))
        .route("/_emulator/introspect", post(introspect))
        .route("/_emulator/clock", get(clock).put(set_clock))
        .route("/_emulator/faults", post(inject).delete(clear_faults))
        .route("/_emulator/keys/{key_type}/regenerate", post(regenerate_key))
        .with_state(emulator)
}

async fn calls(State(emulator): State<Emulator>) -> Json<CallCounts> {
    Json(emulator.calls())
}

async fn identities(State(emulator): State<Emulator>) -> Json<Vec<IdentityRecord>> {
    Json(emulator.identities())
}

/// The token is in the body, since URLs end up in logs.
#[derive(Deserialize)]
struct IntrospectRequest {
    token: String,
}

async fn introspect(
    State(emulator): State<Emulator>,
    request: Result<Json<IntrospectRequest>, JsonRejection>,
) -> Result<Json<Option<Introspection>>, ApiError> {
    let Json(request) = request.map_err(|_| bad_request(r#"send {"token":"…"} as application/json"#))?;
    Ok(Json(emulator.introspect(&request.token)))
}

async fn clock(State(emulator): State<Emulator>) -> Response {
    Json(json!({"clock": emulator.clock(), "now": emulator.now()})).into_response()
}

async fn set_clock(
    State(emulator): State<Emulator>,
    clock: Result<Json<Clock>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let expected = r#"send {"running":{"ahead":seconds}} or {"stopped":{"at":seconds}} as application/json"#;
    let Json(clock) = clock.map_err(|_| bad_request(expected))?;
    emulator.set_clock(clock);
    Ok(StatusCode::NO_CONTENT)
}

async fn inject(
    State(emulator): State<Emulator>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(fault) = fault.map_err(|rejection| bad_request(&rejection.body_text()))?;
    emulator.inject(fault).map_err(|error| bad_request(&error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(emulator): State<Emulator>) -> StatusCode {
    emulator.clear_faults();
    StatusCode::NO_CONTENT
}

/// Responds with the connection string that contains the new key.
async fn regenerate_key(
    State(emulator): State<Emulator>,
    Path(key_type): Path<KeyType>,
    headers: HeaderMap,
) -> Response {
    emulator.regenerate_key(key_type);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let connection_string = emulator.connection_string_with(key_type, &["http://", host].concat());
    let body = Json(json!({"connectionString": connection_string}));
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn bad_request(message: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message)
}
