//! Removes a message, and tells those who can see it.

use std::time::SystemTime;

use azure_http::CALL_TIMEOUT;
use azure_signalr::{Hub, Message as Invocation, Recipient, UserId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::error::Error;
use crate::history::{HistoryLog, Position, StoreError};
use crate::rooms::RoomName;

/// The client method that learns of a removal.
const TARGET: &str = "messageRemoved";

/// The message that was removed.
#[derive(Serialize)]
struct RemovedMessage<'a> {
    /// Absent for a message to everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a RoomName>,
    at: Position,
}

/// Removes the message of `sender` at `at` from the history of `room`, and tells the room, or everyone. The removal counts once it is in the
/// history: clients that are not told find it there.
///
/// # Errors
///
/// [`Error::InvalidCursor`], [`Error::NotSender`], [`Error::HistoryUnavailable`].
pub(super) async fn remove(
    hub: &Hub,
    log: &HistoryLog,
    room: &RoomName,
    at: Position,
    sender: &UserId,
) -> Result<(), Error> {
    let deadline = Instant::now() + CALL_TIMEOUT;
    let stream = room.stream();
    let removed = timeout_at(deadline, log.remove(&stream, at, sender.as_str(), Instant::now())).await;
    removed.unwrap_or(Err(StoreError::Unknown.into()))?;
    let (named, recipient) =
        if room.is_everyone() { (None, Recipient::Everyone) } else { (Some(room), Recipient::Group(room.group())) };
    let invocation = Invocation::new(TARGET, &[RemovedMessage { room: named, at }])?.idempotent();
    match timeout_at(deadline, hub.send(recipient, &invocation, SystemTime::now())).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!("a message was removed, and pages that are open were not told: {error}"),
        Err(_elapsed) => warn!("a message was removed, and pages that are open were not told in time"),
    }
    Ok(())
}
