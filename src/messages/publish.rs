//! Publishes a message through the SignalR service alone, as it is done without a history.
//!
//! # Private messages
//!
//! One goes to the recipient, then to the sender, whose other tabs and devices show it too. The sends follow each other: a copy that
//! arrives although the recipient's send failed would show a message as sent that is not. The handler does not know from which
//! connection a message comes, so that one receives the copy as well, and clients drop what they have by its id.

use std::time::{Duration, SystemTime};

use azure_http::CALL_TIMEOUT;
use azure_signalr::{Hub, Message as Invocation, Recipient, SendReceipt, UserId};
use tokio::time::{timeout, timeout_at};
use tracing::warn;

use super::message::Message;
use super::{Outcome, TARGET};
use crate::auth::Caller;
use crate::error::Error;

/// The longest that a response waits for the check whether a recipient is connected. It runs beside the sends and usually ends first.
const ONLINE_TIMEOUT: Duration = Duration::from_secs(1);

/// Publishes `message` to a recipient, in a room, or to everyone.
pub(super) async fn publish(hub: &Hub, caller: &Caller, message: &Message, now: SystemTime) -> Result<Outcome, Error> {
    let invocation = Invocation::new(TARGET, &[message])?.idempotent();
    let (receipt, recipient_online) = match (caller, message.recipient()) {
        (Caller::User(sender), Some(recipient)) => {
            let sends = send_privately(hub, sender, recipient, &invocation, now);
            tokio::try_join!(sends, is_online(hub, recipient, now))?
        }
        _ => (hub.send(message.group(), &invocation, now).await?, None),
    };
    Ok(Outcome { receipt: Some(receipt), recipient_online, ..Outcome::default() })
}

/// Sends to `recipient`, then to `sender`, if that is another user. Returns the requests of both. Only a failure of the first send is an
/// error.
async fn send_privately(
    hub: &Hub,
    sender: &UserId,
    recipient: &UserId,
    invocation: &Invocation,
    now: SystemTime,
) -> Result<SendReceipt, Error> {
    let deadline = tokio::time::Instant::now() + CALL_TIMEOUT;
    let mut receipt = hub.send(Recipient::User(recipient), invocation, now).await?;
    if sender != recipient {
        match timeout_at(deadline, hub.send(Recipient::User(sender), invocation, now)).await {
            Ok(Ok(own)) => receipt.add(own.attempts()),
            Ok(Err(error)) => {
                warn!("the sender's own copy of a private message was not sent: {error}");
                receipt.add(error.attempts());
            }
            Err(_elapsed) => warn!("the sender's own copy of a private message was not sent in time"),
        }
    }
    Ok(receipt)
}

/// Whether `user` is connected, if that is known in time. It is a hint and never an error.
pub(super) async fn is_online(hub: &Hub, user: &UserId, now: SystemTime) -> Result<Option<bool>, Error> {
    let answer = timeout(ONLINE_TIMEOUT, hub.user_exists(user, now)).await;
    Ok(answer.ok().and_then(Result::ok))
}
