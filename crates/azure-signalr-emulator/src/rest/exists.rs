//! Whether someone is there.
//!
//! The code of a 404 tells callers that it is an answer and not a wrong address, and a HEAD has nothing else to tell it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::call::{Call, audience};
use super::route::Target;
use crate::refusal::Refusal;

pub(super) fn exists(call: &Call<'_>, hub: &str, target: Target<'_>) -> Result<Response, Refusal> {
    if call.service.exists(&call.hub(hub)?, &audience(target)?) {
        return Ok(StatusCode::OK.into_response());
    }
    Err(match target {
        Target::Hub => Refusal::not_found("nobody is in the hub"),
        Target::Group(_) => absent("Warning.Group.NotExisted", "the group has no connection"),
        Target::User(_) => absent("Warning.User.NotExisted", "the user has no connection"),
        Target::Connection(_) => no_connection(),
    })
}

/// A connection is not there that had to be.
pub(super) fn no_connection() -> Refusal {
    absent("Warning.Connection.NotExisted", "the connection does not exist")
}

pub(super) fn absent(code: &'static str, message: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, code, message)
}
