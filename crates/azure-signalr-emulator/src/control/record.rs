//! Writes every request to the service into the journal, with what became of it.
//!
//! A socket is answered when it is opened, a stream when it begins: what follows is told by their frames.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::journal::{Call, harmless_query};
use crate::service::{Watch, unix_milliseconds};

/// Serves a request, and takes it down.
pub(super) async fn record(State(watch): State<Arc<Watch>>, request: Request, next: Next) -> Response {
    let (at, start) = (unix_milliseconds(), Instant::now());
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(harmless_query).unwrap_or_default();
    let response = next.run(request).await;
    let refusal = response.extensions().get::<ApiError>().map(|refusal| refusal.message().to_owned());
    watch.journal().call(Call {
        at,
        method,
        path,
        query,
        status: response.status().as_u16(),
        milliseconds: milliseconds_since(start),
        refusal,
    });
    response
}

/// How long something took.
pub(super) fn milliseconds_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
