//! Keeps a message in the history, then publishes it with its position.
//!
//! A message is said when it is in the history. One that the service does not take then is accepted all the same, as not live: its
//! readers get it when they ask for what they missed. A failure would make the page send it again.
//!
//! A private message is kept in the history of its recipient, then in that of its sender. Each gets its own copy, with the positions of the
//! own history. What follows the first of these steps is not undone, and does not fail the request.

use std::time::SystemTime;

use azure_http::CALL_TIMEOUT;
use azure_signalr::{Hub, Message as Invocation, Recipient, SendReceipt, UserId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::message::Message;
use super::not_live::NotLive;
use super::publish::is_online;
use super::{Outcome, TARGET};
use crate::auth::Caller;
use crate::error::Error;
use crate::history::{HistoryLog, Place, Stream};
use crate::rooms::RoomName;

/// A message as clients receive it.
#[derive(Serialize)]
struct Positioned<'a> {
    #[serde(flatten)]
    message: &'a Message,
    #[serde(flatten)]
    place: Option<Place>,
}

/// A message on its way.
struct Publication<'a> {
    hub: &'a Hub,
    log: &'a HistoryLog,
    message: &'a Message,
    /// As it is kept.
    line: Vec<u8>,
    now: SystemTime,
    /// When the request has to end.
    deadline: Instant,
}

/// Keeps `message` and publishes it, to a recipient, in a room, or to everyone.
///
/// # Errors
///
/// [`Error::HistoryUnavailable`]: it was not published, and may have been kept.
pub(super) async fn publish_kept(
    hub: &Hub,
    log: &HistoryLog,
    caller: &Caller,
    message: &Message,
    now: SystemTime,
) -> Result<Outcome, Error> {
    let line = serde_json::to_vec(message).expect("texts under text keys");
    let deadline = Instant::now() + CALL_TIMEOUT;
    let publication = Publication { hub, log, message, line, now, deadline };
    match (caller, message.recipient()) {
        (Caller::User(sender), Some(recipient)) => {
            let kept = publication.publish_privately(sender, recipient);
            let (outcome, recipient_online) = tokio::try_join!(kept, is_online(hub, recipient, now))?;
            Ok(Outcome { recipient_online, ..outcome })
        }
        _ => publication.publish_openly().await,
    }
}

impl Publication<'_> {
    async fn publish_openly(&self) -> Result<Outcome, Error> {
        let stream = self.message.room().map_or_else(Stream::everyone, RoomName::stream);
        let place = Some(self.keep(&stream).await?);
        let sent = self.send(self.message.group(), place).await?;
        Ok(outcome(place, sent))
    }

    async fn publish_privately(&self, sender: &UserId, recipient: &UserId) -> Result<Outcome, Error> {
        let place = Some(self.keep(&Stream::person(recipient.as_str())).await?);
        let to_recipient = self.send(Recipient::User(recipient), place);
        if sender == recipient {
            return Ok(outcome(place, to_recipient.await?));
        }
        let to_sender = async {
            let place = self.keep(&Stream::person(sender.as_str())).await;
            let place =
                place.inspect_err(|error| warn!("the sender's own copy of a private message was not kept: {error}"));
            let place = place.ok();
            Ok((place, self.send(Recipient::User(sender), place).await?))
        };
        let (sent, (own_place, own_sent)) = tokio::try_join!(to_recipient, to_sender)?;
        let mut outcome = outcome(own_place, sent);
        match own_sent {
            Ok(own) => outcome.add(own.attempts()),
            // Else the log has the same failure already.
            Err(error) if outcome.live == Some(true) => {
                warn!("the sender's own copy of a private message was not sent: {error}");
                outcome.add(error.attempts());
            }
            Err(_) => {}
        }
        Ok(outcome)
    }

    async fn keep(&self, stream: &Stream) -> Result<Place, Error> {
        Ok(self.log.append(stream, self.line.clone()).await?)
    }

    /// Sends the message with the positions of its recipient, within the time that is left. A failure of the service is in the result.
    async fn send(&self, to: Recipient<'_>, place: Option<Place>) -> Result<Result<SendReceipt, NotLive>, Error> {
        let invocation = Invocation::new(TARGET, &[Positioned { message: self.message, place }])?.idempotent();
        Ok(match timeout_at(self.deadline, self.hub.send(to, &invocation, self.now)).await {
            Ok(sent) => sent.map_err(NotLive::Failed),
            Err(_elapsed) => Err(NotLive::TimedOut),
        })
    }
}

fn outcome(place: Option<Place>, sent: Result<SendReceipt, NotLive>) -> Outcome {
    let live = Some(sent.is_ok());
    match sent {
        Ok(receipt) => Outcome { place, live, receipt: Some(receipt), ..Outcome::default() },
        Err(not_live) => Outcome { place, live, not_live: Some(not_live), ..Outcome::default() },
    }
}
