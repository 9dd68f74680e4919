//! `POST /api/messages`: validates a draft and publishes it as a message, to everyone, in a room or to one user.
//!
//! The sender is the authenticated caller: a `sender` in the body counts only as the nickname of a guest.

use std::time::{Instant, SystemTime};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use azure_signalr::{Attempt, Hub, SendReceipt};
use serde::Serialize;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::auth::{AuthConfig, Caller};
use crate::caller_limits::CallerLimits;
use crate::error::Error;
use crate::history::{History, HistoryLog, Place};
use crate::json_body::{JsonBody, body_error};
use crate::rooms::Rooms;

mod draft;
mod message;
mod not_live;
mod publish;
mod publish_kept;

use draft::Draft;
use message::Message;
pub(crate) use not_live::NotLive;
use publish::publish;
use publish_kept::publish_kept;

/// The client method that receives a message.
const TARGET: &str = "newMessage";

/// What became of a message that was accepted.
#[derive(Default)]
struct Outcome {
    /// Where it is in the history that its sender reads.
    place: Option<Place>,
    /// Whether the service has it; `None` without a history, where it always has.
    live: Option<bool>,
    recipient_online: Option<bool>,
    /// The requests to the service.
    receipt: Option<SendReceipt>,
    not_live: Option<NotLive>,
}

impl Outcome {
    /// Adds the requests for a second copy.
    fn add(&mut self, attempts: &[Attempt]) {
        if let Some(receipt) = &mut self.receipt {
            receipt.add(attempts);
        }
    }
}

/// The response: the message as published, and what became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    #[serde(flatten)]
    message: Message,
    #[serde(flatten)]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_online: Option<bool>,
}

pub(crate) async fn send(
    State(hub): State<Hub>,
    State(rooms): State<Rooms>,
    State(history): State<Option<History>>,
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
    let is_kept = |history: &History| message.recipient().is_none() || history.is_private_kept;
    let (message, outcome) = match history.filter(is_kept) {
        Some(History { log, .. }) => {
            let published = spawn_publish_kept(hub, log, caller, message, now).await;
            published.unwrap_or_else(|error| Err(Error::Panicked(error.to_string())))?
        }
        None => {
            // In a box, because each layer of a request copies the future of the next one.
            let outcome = Box::pin(publish(&hub, &caller, &message, now)).await?;
            (message, outcome)
        }
    };
    let Outcome { place, live, recipient_online, receipt, not_live } = outcome;
    // For the access log.
    let extensions = (receipt.map(Extension), not_live.map(Extension));
    Ok((StatusCode::ACCEPTED, extensions, Json(Accepted { message, place, live, recipient_online })))
}

/// Keeps and publishes a message to the end, also if the caller disconnects: what is kept would not be published.
fn spawn_publish_kept(
    hub: Hub,
    log: HistoryLog,
    caller: Caller,
    message: Message,
    now: SystemTime,
) -> JoinHandle<Result<(Message, Outcome), Error>> {
    let publish = async move {
        let outcome = publish_kept(&hub, &log, &caller, &message, now).await?;
        Ok((message, outcome))
    };
    tokio::spawn(publish.in_current_span())
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
