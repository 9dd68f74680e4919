//! The control API, `/emulator/`: shows the state and the traffic of the emulator as JSON, and injects faults.
//!
//! Present where `Options::control` is set. It shows no token and no key. `CONTROL.md` describes all calls and is the response
//! to `GET /emulator/`.

mod access_guard;
mod connections;
mod faults;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, post};
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;
use crate::diagnostics::Diagnostics;
use crate::service::Service;

/// Maximum size of a request body.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The state of all handlers.
#[derive(Clone)]
struct ControlState {
    service: Arc<Service>,
    diagnostics: Arc<Diagnostics>,
}

/// All calls, behind the access guard.
pub(crate) fn router<S>(service: Arc<Service>, diagnostics: Arc<Diagnostics>) -> Router<S> {
    Router::new()
        .route("/emulator", get(manual))
        .route("/emulator/", get(manual))
        .route("/emulator/hubs", get(connections::hubs))
        .route("/emulator/connections", get(connections::connections))
        .route("/emulator/users", get(connections::users))
        .route("/emulator/groups", get(connections::groups))
        .route("/emulator/calls", get(traffic::requests))
        .route("/emulator/frames", get(traffic::messages))
        .route("/emulator/posts", get(traffic::posts))
        .route("/emulator/journal", delete(traffic::clear))
        .route("/emulator/connections/{action}", post(connections::act_on))
        .route("/emulator/restart", post(restart))
        .route("/emulator/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/emulator/faults/{id}", delete(faults::remove))
        .route("/emulator/{*unknown}", any(unknown))
        .layer(from_fn_with_state(service.clone(), after_messages))
        .layer(from_fn(access_guard::check))
        .with_state(ControlState { service, diagnostics })
}

/// Middleware: what was sent before the call has an effect before it.
async fn after_messages(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    service.distribute();
    next.run(request).await
}

async fn manual() -> Response {
    let text = include_str!("../../CONTROL.md");
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response()
}

async fn unknown() -> Response {
    ApiError::not_found("no call of the control API has this path; GET /emulator/ lists them").into_json()
}

async fn restart(State(state): State<ControlState>) -> StatusCode {
    state.service.restart();
    StatusCode::NO_CONTENT
}

/// Injects request faults into the requests to `router`.
pub(crate) fn with_fault_injection<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    diagnostics: Option<&Arc<Diagnostics>>,
) -> Router<S> {
    let Some(diagnostics) = diagnostics else { return router };
    router.layer(from_fn_with_state(diagnostics.clone(), faults::inject))
}

/// Records the requests to `router` in the traffic log.
pub(crate) fn with_traffic_log<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    diagnostics: Option<&Arc<Diagnostics>>,
) -> Router<S> {
    let Some(diagnostics) = diagnostics else { return router };
    router.layer(from_fn_with_state(diagnostics.clone(), traffic::record))
}

/// Reads a JSON body.
async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let body = to_bytes(request.into_body(), MAX_BODY_BYTES).await.map_err(|error| {
        let message = format!("the body broke off, or is larger than {MAX_BODY_BYTES} bytes");
        ApiError::body_timeout(&error).unwrap_or_else(|| ApiError::invalid("body", message))
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        ApiError::invalid("body", format!("this is not what the call takes: {error}; see GET /emulator/"))
    })
}
