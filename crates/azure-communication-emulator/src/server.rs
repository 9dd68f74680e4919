//! The service's face: from a request to its answer, with the headers all answers have, and one line in the log.
//!
//! The log names operations, not paths, since those hold ids of people.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tracing::{debug, warn};

use crate::refusal::Refusal;
use crate::resource::Answer;
use crate::{Emulator, operation, payload, random, version};

/// Names a request, if its caller does; the answer repeats it.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const SUPPORTED_VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");
const CORRELATION_VECTOR: HeaderName = HeaderName::from_static("ms-cv");

/// Serves everything. No path is left to the framework, which must not touch what was signed.
pub(crate) async fn serve(State(emulator): State<Emulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = operation::asked(&parts.method, &parts.uri);
    let operation = asked.as_ref().map_or("unknown operation", |asked| asked.operation.as_str());
    let request_id = parts.headers.get(CLIENT_REQUEST_ID).cloned();
    let body = payload::read(body).await;
    let outcome = emulator.resource().answer(asked, parts, body, unix_now(), random::uuid());
    log(operation, &outcome);
    let mut response = outcome.into_response();
    describe(response.headers_mut(), request_id);
    response
}

fn describe(headers: &mut HeaderMap, request_id: Option<HeaderValue>) {
    headers.insert(SUPPORTED_VERSIONS, HeaderValue::from_static(version::SUPPORTED));
    if let Ok(vector) = HeaderValue::try_from(random::correlation_vector()) {
        headers.insert(CORRELATION_VECTOR, vector);
    }
    if let Some(id) = request_id {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Some(body) = self.body else { return self.status.into_response() };
        let content_type = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
        (self.status, content_type, Json(body)).into_response()
    }
}

fn log(operation: &str, outcome: &Result<Answer, Refusal>) {
    match outcome {
        Ok(Answer { status, .. }) => {
            let status = status.as_u16();
            debug!(operation, status, "{operation} answered {status}");
        }
        Err(refusal) => {
            let (status, why) = (refusal.status().as_u16(), refusal.why());
            warn!(operation, status, "{operation} answered {status}: {why}");
        }
    }
}

/// Seconds since 1970: the only look at the machine's clock.
pub(crate) fn unix_now() -> u64 {
    // A clock set before 1970 makes every request look made at another time, which is the safe way to be wrong.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
