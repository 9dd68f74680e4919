//! Tokens for clients, for callers who would rather not sign them.

use std::time::Duration;

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::call::{Call, user_id};
use super::limits;
use crate::auth;
use crate::hub_name::HubName;
use crate::refusal::Refusal;
use crate::service::unix_now;

/// How long a token is good for when nobody says, in minutes.
const MINUTES: u32 = 60;

#[derive(Serialize)]
struct Answer {
    token: String,
}

pub(super) fn generate(call: &Call<'_>, hub: &str) -> Result<Response, Refusal> {
    // By the specification there is no `application` here: whoever has one names the hub `{application}_{hub}`.
    let hub = HubName::of_caller(None, hub)?;
    let user = call.query().last("userId").filter(|user| !user.is_empty());
    let user = user.map(|user| user_id(&user)).transpose()?;
    let minutes = call.number("minutesToExpire", 1..=i32::MAX as u32)?.unwrap_or(MINUTES);
    let lifetime = Duration::from_secs(60 * u64::from(minutes));
    let key = call.service.options.access_keys.first();
    let key = key.expect("an emulator that is given no key makes one");
    let token = auth::client_token(key, &hub, user.as_ref(), unix_now(), lifetime);
    limits::check_token(&token)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Answer { token })).into_response())
}
