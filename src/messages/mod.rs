//! `POST /api/messages`: validates a draft and publishes it as a message, to everyone or to one user.
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
use azure_signalr::{Hub, Message as Invocation, Recipient};

use crate::auth::{AuthConfig, Caller};
use crate::error::Error;
use crate::json_body::{JsonBody, body_error};
use crate::limits::Limits;

mod draft;
mod message;

use draft::Draft;
use message::Message;

/// The client method that receives a message.
const TARGET: &str = "newMessage";

pub(crate) async fn send(
    State(hub): State<Hub>,
    Sender(caller): Sender,
    _: JsonBody,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Error> {
    let draft = Draft::parse(&body.map_err(|rejection| body_error(&rejection, Error::InvalidMessage))?)?;
    let now = SystemTime::now();
    let message = Message::new(draft, &caller, now)?;
    let invocation = Invocation::new(TARGET, &[&message])?.idempotent();
    let recipient = message.recipient().map_or(Recipient::Everyone, Recipient::User);
    let receipt = hub.send(recipient, &invocation, now).await?;
    // For the access log.
    Ok((StatusCode::ACCEPTED, Extension(receipt), Json(message)))
}

/// A caller who may send a message now. As an extractor it counts the message, before its body is read: an invalid one counts too.
pub(crate) struct Sender(Caller);

impl<S> FromRequestParts<S> for Sender
where
    S: Send + Sync,
    AuthConfig: FromRef<S>,
    Limits: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Limits::from_ref(state).check_message(&caller, Instant::now())?;
        Ok(Self(caller))
    }
}
