//! Calling a client and waiting for what it answers.
//!
//! Nobody has written down what the service says when the client fails: here that is 400, whose message is the client's
//! error. It goes to the caller and into no log, since it may say anything.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::body;
use super::call::{Call, connection_id};
use super::exists::absent;
use super::payload::{self, Payload};
use crate::protocol::{Outcome, ServerMessage};
use crate::refusal::Refusal;

/// The answer to the caller. A client that answers with nothing leaves it empty.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

pub(super) async fn invoke(
    call: &Call<'_>,
    hub: &str,
    connection: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let (hub, connection) = (call.hub(hub)?, connection_id(connection)?);
    payload::check_json(&call.parts.headers, call.version)?;
    let body = body::read(body).await?;
    let Payload { target, arguments } = payload::parse(&body)?;
    let link = call.service.connection(&hub, &connection).ok_or_else(no_connection)?;
    let mut invocation = link.begin_invocation();
    link.send_message(&ServerMessage::Invocation { id: Some(&invocation.id), target: &target, arguments });
    let patience = call.service.options.result_timeout;
    match timeout(patience, invocation.completion()).await {
        Ok(Ok(Outcome::Result(result))) => Ok(Json(Answer { result: Some(&result) }).into_response()),
        Ok(Ok(Outcome::Void)) => Ok(Json(Answer { result: None }).into_response()),
        Ok(Ok(Outcome::Error(error))) => Ok(failed(error)),
        Ok(Err(_)) => Err(no_connection()),
        Err(_) => {
            let message = format!("the client has not answered within {patience:?}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "Error.Connection.TimedOut", message))
        }
    }
}

/// A connection that had to be there to answer is not, or not any more.
pub(super) fn no_connection() -> Refusal {
    absent("Error.Connection.NotExisted", "the connection does not exist, or has ended meanwhile")
}

fn failed(error: String) -> Response {
    let refusal = Refusal::new(StatusCode::BAD_REQUEST, "Error.Connection.InvocationFailed", error);
    let mut response = refusal.into_json();
    // What rides along is logged.
    response.extensions_mut().remove::<Refusal>();
    response
}
