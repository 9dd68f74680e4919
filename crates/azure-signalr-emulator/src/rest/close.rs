//! Closing connections. They get what is queued for them, then a Close, then the end of their transport.
//!
//! Unless the options say otherwise, a client that was closed this way is not told to come back: with `allowReconnect` a
//! client that reconnects by itself would be there again at once.

use std::collections::HashSet;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::info;

use super::call::{Call, audience, connection_id};
use super::exists::no_connection;
use super::route::Target;
use super::version::Version;
use crate::refusal::Refusal;
use crate::service::{CloseOptions, Recipients};

/// Closes one connection, which has to be there.
pub(super) fn connection(call: &Call<'_>, hub: &str, connection: &str) -> Result<Response, Refusal> {
    let (hub, connection) = (call.hub(hub)?, Recipients::Connection(connection_id(connection)?));
    let closed = call.service.close(&hub, &connection, &HashSet::new(), &closure(call));
    match (closed, call.version) {
        (0, _) => Err(no_connection()),
        (_, Version::V1) => Ok(StatusCode::ACCEPTED.into_response()),
        _ => Ok(StatusCode::OK.into_response()),
    }
}

/// Closes all connections of the target but the excluded; there may be none.
pub(super) fn connections(call: &Call<'_>, hub: &str, target: Target<'_>) -> Result<Response, Refusal> {
    let (hub, audience) = (call.hub(hub)?, audience(target)?);
    let closed = call.service.close(&hub, &audience, &call.excluded(), &closure(call));
    info!(%hub, closed, "closed {closed} connections of hub {hub}");
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn closure(call: &Call<'_>) -> CloseOptions {
    let reason = call.query().last("reason").filter(|reason| !reason.is_empty());
    CloseOptions {
        reason: reason.map(Into::into),
        allow_reconnect: call.service.options.reconnect_after_close,
    }
}
