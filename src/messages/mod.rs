//! `POST /api/messages`: validates a draft and publishes it as a message, to everyone, in a room or to one user.
//!
//! The sender is the authenticated caller: a `sender` in the body counts only as the nickname of a guest.
//!
//! # Private messages
//!
//! One goes to the recipient, then to the sender, whose other tabs and devices show it too. The sends follow each other: a copy that
//! arrives although the recipient's send failed would show a message as sent that is not. The handler does not know from which
//! connection a message comes, so that one receives the copy as well, and clients drop what they have by its id.

use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use azure_http::CALL_TIMEOUT;
use azure_signalr::{Hub, Message as Invocation, Recipient, SendReceipt, UserId};
use serde::Serialize;
use tokio::time::{timeout, timeout_at};
use tracing::warn;

use crate::auth::{AuthConfig, Caller};
use crate::caller_limits::CallerLimits;
use crate::error::Error;
use crate::json_body::{JsonBody, body_error};
use crate::rooms::Rooms;

mod draft;
mod message;

use draft::Draft;
use message::Message;

/// The client method that receives a message.
const TARGET: &str = "newMessage";
/// The longest that a response waits for the check whether a recipient is connected. It runs beside the sends and usually ends first.
const ONLINE_TIMEOUT: Duration = Duration::from_secs(1);

/// The response: the message as published, and whether its recipient was connected.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    #[serde(flatten)]
    message: Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_online: Option<bool>,
}

pub(crate) async fn send(
    State(hub): State<Hub>,
    State(rooms): State<Rooms>,
    Sender(caller): Sender,
    _: JsonBody,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Error> {
    let draft = Draft::parse(&body.map_err(|rejection| body_error(&rejection, Error::InvalidMessage))?)?;
    let now = SystemTime::now();
    let message = Message::new(draft, &caller, now)?;
    if let Some(room) = message.room() {
        rooms.directory.check(room, &caller).await?;
    }
    let invocation = Invocation::new(TARGET, &[&message])?.idempotent();
    let (receipt, recipient_online) = match (&caller, message.recipient()) {
        (Caller::User(sender), Some(recipient)) => send_privately(&hub, sender, recipient, &invocation, now).await?,
        _ => {
            let recipient = message.room().map_or(Recipient::Everyone, |room| Recipient::Group(room.group()));
            (hub.send(recipient, &invocation, now).await?, None)
        }
    };
    // For the access log.
    Ok((StatusCode::ACCEPTED, Extension(receipt), Json(Accepted { message, recipient_online })))
}

/// Sends to `recipient`, then to `sender`, if that is another user. Returns the requests of both, and whether the recipient is
/// connected, if that is known. Only a failure of the first send is an error.
async fn send_privately(
    hub: &Hub,
    sender: &UserId,
    recipient: &UserId,
    invocation: &Invocation,
    now: SystemTime,
) -> Result<(SendReceipt, Option<bool>), Error> {
    let deadline = tokio::time::Instant::now() + CALL_TIMEOUT;
    let sends = async {
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
    };
    let check = async {
        let answer = timeout(ONLINE_TIMEOUT, hub.user_exists(recipient, now)).await;
        Ok(answer.ok().and_then(Result::ok))
    };
    tokio::try_join!(sends, check)
}

/// A caller who may send a message now. As an extractor it counts the message, before its body is read: an invalid one counts too.
pub(crate) struct Sender(Caller);

impl<S> FromRequestParts<S> for Sender
where
    S: Send + Sync,
    AuthConfig: FromRef<S>,
    CallerLimits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, state).await?;
        CallerLimits::from_ref(state).check_message(&caller, Instant::now())?;
        Ok(Self(caller))
    }
}
