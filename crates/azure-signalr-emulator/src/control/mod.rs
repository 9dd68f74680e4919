//! What the emulator shows of itself, and the ways to make it misbehave: `/emulator/`, in JSON.
//!
//! There only with `Options::control`, and only for who sits at this machine. What it shows opens nothing: no token and
//! no key is ever kept. All calls are told in `CONTROL.md`, which is also what `GET /emulator/` answers.

mod connections;
mod faults;
mod gate;
mod record;
mod strike;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, post};
use serde::de::DeserializeOwned;

use crate::api_error::ApiError;
use crate::service::{Service, Watch};

/// Largest body of a call, in bytes.
const LARGEST_BODY: usize = 64 << 10;

/// What every call works on.
#[derive(Clone)]
struct Desk {
    service: Arc<Service>,
    watch: Arc<Watch>,
}

/// All calls, each behind the gate.
pub(crate) fn router<S>(service: Arc<Service>, watch: Arc<Watch>) -> Router<S> {
    Router::new()
        .route("/emulator", get(manual))
        .route("/emulator/", get(manual))
        .route("/emulator/hubs", get(view::hubs))
        .route("/emulator/connections", get(view::connections))
        .route("/emulator/users", get(view::users))
        .route("/emulator/groups", get(view::groups))
        .route("/emulator/calls", get(view::calls))
        .route("/emulator/frames", get(view::frames))
        .route("/emulator/posts", get(view::posts))
        .route("/emulator/journal", delete(view::forget))
        .route("/emulator/connections/{command}", post(connections::command))
        .route("/emulator/restart", post(restart))
        .route("/emulator/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/emulator/faults/{id}", delete(faults::remove))
        .route("/emulator/{*unknown}", any(unknown))
        .layer(middleware::from_fn(gate::check))
        .with_state(Desk { service, watch })
}

async fn manual() -> Response {
    let text = include_str!("../../CONTROL.md");
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response()
}

async fn unknown() -> Response {
    ApiError::not_found("no call of the control API has this path; GET /emulator/ lists them").into_json()
}

async fn restart(State(desk): State<Desk>) -> StatusCode {
    desk.service.restart();
    StatusCode::NO_CONTENT
}

/// Puts the request faults around a side of the service.
pub(crate) fn struck<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    watch: Option<&Arc<Watch>>,
) -> Router<S> {
    match watch {
        Some(watch) => router.layer(from_fn_with_state(watch.clone(), strike::strike)),
        None => router,
    }
}

/// Takes down every request to these sides of the service.
pub(crate) fn recorded<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    watch: Option<&Arc<Watch>>,
) -> Router<S> {
    match watch {
        Some(watch) => router.layer(from_fn_with_state(watch.clone(), record::record)),
        None => router,
    }
}

/// The JSON body of a call.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let body = to_bytes(request.into_body(), LARGEST_BODY).await.map_err(|_| {
        ApiError::invalid("body", format!("the body broke off, or is larger than {LARGEST_BODY} bytes"))
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        ApiError::invalid("body", format!("this is not what the call takes: {error}; see GET /emulator/"))
    })
}
