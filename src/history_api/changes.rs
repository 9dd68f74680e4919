//! Removes a message and erases private ones, and tells the pages that show them.

use std::time::SystemTime;

use azure_http::CALL_TIMEOUT;
use azure_signalr::{Hub, Message as Invocation, Recipient, UserId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::error::Error;
use crate::history::{HistoryLog, Position, StoreError, Stream};
use crate::rooms::RoomName;

/// The client method that learns of a removal.
const REMOVED: &str = "messageRemoved";
/// The client method that learns that the person's private messages were erased. It has no arguments.
const ERASED: &str = "historyErased";

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
    tell(hub, recipient, REMOVED, &[RemovedMessage { room: named, at }], deadline).await
}

/// Erases the private messages of `owner`, and tells the owner's pages with the time that is left. The log has its own time-out.
///
/// # Errors
///
/// [`Error::HistoryUnavailable`].
pub(super) async fn erase(hub: &Hub, log: &HistoryLog, owner: &UserId) -> Result<(), Error> {
    let deadline = Instant::now() + CALL_TIMEOUT;
    log.erase(&Stream::person(owner.as_str())).await?;
    tell(hub, Recipient::User(owner), ERASED, &[(); 0], deadline).await
}

/// Publishes a change that counts whether or not the pages are told: they find it in the history.
async fn tell<T: Serialize>(
    hub: &Hub,
    recipient: Recipient<'_>,
    method: &str,
    arguments: &[T],
    deadline: Instant,
) -> Result<(), Error> {
    let invocation = Invocation::new(method, arguments)?.idempotent();
    match timeout_at(deadline, hub.send(recipient, &invocation, SystemTime::now())).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(method, "pages that are open were not told of a change to the history: {error}"),
        Err(_elapsed) => warn!(method, "pages that are open were not told of a change to the history in time"),
    }
    Ok(())
}
