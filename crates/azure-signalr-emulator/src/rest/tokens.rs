//! Generates client tokens, and access keys for callers without one.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::call::{Call, user_id};
use crate::api_error::ApiError;
use crate::auth::{self, Caller};
use crate::hub::HubName;
use crate::request::check_access_token;
use crate::service::unix_now;

/// Default lifetime of a token, in minutes.
const DEFAULT_MINUTES: u32 = 60;

#[derive(Serialize)]
struct GeneratedToken {
    token: String,
}

/// Generates a client token, `:generateToken`.
pub(super) fn generate(call: &Call<'_>) -> Result<Response, ApiError> {
    // By the specification there is no `application` here; the hub is then named `{application}_{hub}`.
    let hub = HubName::of_caller(None, call.hub)?;
    let user = call.query().last("userId").filter(|user| !user.is_empty());
    let user = user.map(|user| user_id(&user)).transpose()?;
    let minutes = call.number("minutesToExpire", 1..=i32::MAX as u32)?.unwrap_or(DEFAULT_MINUTES);
    let lifetime = Duration::from_secs(60 * u64::from(minutes));
    let key = call.service.access_keys.first();
    let token = auth::client_token(&key, &hub, user.as_ref(), unix_now(), lifetime);
    check_access_token(&token)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(GeneratedToken { token })).into_response())
}

/// Creates an access key, `auth/accessKey`. As in Azure, only identities get one.
pub(super) fn create_access_key(call: &Call<'_>) -> Result<Response, ApiError> {
    let key = call.service.auth.issue_access_key(unix_now()).ok_or_else(|| {
        ApiError::not_emulated("Giving out access keys to Entra identities, unless `Options::entra` is set")
    })?;
    match call.caller {
        Caller::Identity => Ok(([(header::CACHE_CONTROL, "no-store")], Json(key)).into_response()),
        Caller::AccessKey => {
            let message = "access keys are given to Microsoft Entra identities, and this caller has a key";
            Err(ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message))
        }
    }
}
