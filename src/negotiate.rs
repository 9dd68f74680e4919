//! `POST /api/negotiate`: the address of the SignalR service and an access token for the caller.
//!
//! A SignalR client follows `url` and negotiates once more, with the service itself.

use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use azure_signalr::{ClientIdentity, Hub};

use crate::auth::Caller;
use crate::caller_limits::CallerLimits;
use crate::error::Error;

pub(crate) async fn negotiate(
    State(hub): State<Hub>,
    State(limits): State<CallerLimits>,
    caller: Caller,
) -> Result<impl IntoResponse, Error> {
    limits.check_negotiation(&caller, Instant::now())?;
    let client = match &caller {
        Caller::User(user) => ClientIdentity::user(user),
        Caller::Anonymous => ClientIdentity::anonymous(),
    };
    let access = hub.client_access(&client, SystemTime::now()).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(access)))
}
