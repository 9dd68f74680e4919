//! Messages for a hub, a group, a user or a connection. That nobody is there to receive one is no error.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::debug;

use super::call::{Call, audience};
use super::payload;
use super::route::Target;
use crate::refusal::Refusal;

pub(super) async fn send(
    call: &Call<'_>,
    hub: &str,
    target: Target<'_>,
    body: Body,
) -> Result<Response, Refusal> {
    let hub = call.hub(hub)?;
    let audience = audience(target)?;
    let excluded = match target {
        Target::Hub | Target::Group(_) => call.excluded(),
        Target::User(_) | Target::Connection(_) => HashSet::new(),
    };
    let message = payload::message(call, body).await?;
    call.service.deliver(&hub, &audience, &excluded, &message);
    debug!(%hub, bytes = message.size(), "sent a message to hub {hub}");
    Ok(StatusCode::ACCEPTED.into_response())
}
