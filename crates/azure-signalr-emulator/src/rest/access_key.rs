//! Keys for callers that have an identity instead of one.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::call::Call;
use crate::auth::Caller;
use crate::refusal::Refusal;
use crate::service::unix_now;

/// Lends a key. Who has one already needs none, and the real service gives it to identities only.
pub(super) fn lend(call: &Call<'_>) -> Result<Response, Refusal> {
    let lent = call.service.auth.lend_key(unix_now()).ok_or_else(|| {
        Refusal::not_emulated("Giving out access keys to Entra identities, unless `Options::entra` is set")
    })?;
    match call.caller {
        Caller::Identity => Ok(([(header::CACHE_CONTROL, "no-store")], Json(lent)).into_response()),
        Caller::KeyHolder => {
            let message = "access keys are given to Microsoft Entra identities, and this caller has a key";
            Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message))
        }
    }
}
