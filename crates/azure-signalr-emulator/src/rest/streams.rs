//! Items of streams to one client, and their ends.
//!
//! A stream is known to the caller and the client only: items of one that the client never asked for reach it too.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;

use super::body;
use super::call::{Call, connection_id};
use super::invoke::no_connection;
use super::payload;
use crate::protocol::{Outcome, ServerMessage};
use crate::refusal::Refusal;

/// A stream to one connection, as the path names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream<'a> {
    pub(super) hub: &'a str,
    pub(super) connection: &'a str,
    pub(super) id: &'a str,
}

/// Sends one item, any JSON; it may be the last.
pub(super) async fn send(call: &Call<'_>, stream: Stream<'_>, body: Body) -> Result<Response, Refusal> {
    let is_last = flag(call, "completed")?;
    payload::check_json(&call.parts.headers, call.version)?;
    let body = body::read(body).await?;
    let item: &RawValue = serde_json::from_slice(&body)
        .map_err(|error| Refusal::invalid("payload", format!("the body is no JSON: {error}")))?;
    let item = ServerMessage::StreamItem { id: stream.id, item };
    let end = ServerMessage::Completion { id: stream.id, outcome: &Outcome::Void };
    tell(call, stream, [Some(item), is_last.then_some(end)].into_iter().flatten())
}

/// Ends a stream, with a reason if it did not end well.
pub(super) fn complete(call: &Call<'_>, stream: Stream<'_>) -> Result<Response, Refusal> {
    let reason = call.query().last("reason").filter(|reason| !reason.is_empty());
    let outcome = reason.map_or(Outcome::Void, |reason| Outcome::Error(reason.into()));
    tell(call, stream, [ServerMessage::Completion { id: stream.id, outcome: &outcome }])
}

fn tell<'m>(
    call: &Call<'_>,
    stream: Stream<'_>,
    messages: impl IntoIterator<Item = ServerMessage<'m>>,
) -> Result<Response, Refusal> {
    let (hub, connection) = (call.hub(stream.hub)?, connection_id(stream.connection)?);
    if stream.id.is_empty() {
        return Err(Refusal::invalid("streamId", "`streamId` must not be empty"));
    }
    let link = call.service.connection(&hub, &connection).ok_or_else(no_connection)?;
    messages.into_iter().for_each(|message| link.send_message(&message));
    Ok(StatusCode::ACCEPTED.into_response())
}

fn flag(call: &Call<'_>, name: &'static str) -> Result<bool, Refusal> {
    match call.query().last(name).as_deref() {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Refusal::invalid(name, format!("`{name}` must be true or false"))),
    }
}
