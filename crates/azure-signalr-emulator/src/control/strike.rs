//! Request faults: what befalls a request before the service looks at it.
//!
//! Preflights are spared, as they never come this far: a browser that may not ask would only report that.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::api_error::ApiError;
use crate::faults::{self, Effect, Face};
use crate::hub_name::HubName;
use crate::request::{Query, path_segments};
use crate::service::Watch;

/// Lets a request through, now or later, or ends it as a fault says.
pub(super) async fn strike(State(watch): State<Arc<Watch>>, request: Request, next: Next) -> Response {
    let uri = request.uri();
    let (face, hub) = (face(uri.path()), hub(uri));
    let target = faults::Request { face, hub: hub.as_ref().map(HubName::as_str), path: uri.path() };
    let strike = watch.faults().strike(target);
    if !strike.delay.is_zero() {
        tokio::time::sleep(strike.delay).await;
    }
    match strike.end {
        Some(Effect::Answer { status, retry_after_seconds }) => answer(face, status, retry_after_seconds),
        Some(Effect::Refuse) => hang_up(),
        Some(Effect::Delay { .. }) | None => next.run(request).await,
    }
}

fn face(path: &str) -> Face {
    match path.trim_end_matches('/') {
        "/client/negotiate" => Face::Negotiate,
        "/client" => Face::Connect,
        _ => Face::Rest,
    }
}

/// The hub a request names, if it does so rightly; if not, it is the service that will say so.
fn hub(uri: &Uri) -> Option<HubName> {
    let query = Query::new(uri.query());
    let segments = path_segments(uri.path()).ok()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match *segments.as_slice() {
        ["api", "v1", "hubs", hub, ..] | ["api", "hubs", hub, ..] => {
            let application = query.last("application").filter(|application| !application.is_empty());
            HubName::of_caller(application.as_deref(), hub).ok()
        }
        ["client", ..] => HubName::of_client(&query.last("hub")?).ok(),
        _ => None,
    }
}

fn answer(face: Face, status: u16, retry_after_seconds: Option<u32>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let refusal = ApiError::new(status, "Emulator.Fault", "this answer is a fault that was asked for");
    let mut response = if face == Face::Rest { refusal.into_json() } else { refusal.into_text() };
    if let Some(seconds) = retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The server gives up an answer whose body breaks before its head is sent, and with it the socket.
fn hang_up() -> Response {
    let broken = stream::iter([Err::<Bytes, _>(io::Error::other("a fault that was asked for"))]);
    let message = "the socket was closed instead of an answer, by a fault that was asked for";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let refusal = ApiError::new(status, "Emulator.Fault", message);
    (status, Extension(refusal), Body::from_stream(broken)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uri: &'static str) -> Option<String> {
        hub(&Uri::from_static(uri)).map(|hub| hub.as_str().to_owned())
    }

    #[test]
    fn every_side_names_its_hub_in_its_own_way() {
        assert_eq!(named("/api/hubs/Chat/:send?application=App").unwrap(), "app_chat");
        assert_eq!(named("/api/v1/hubs/chat").unwrap(), "chat");
        assert_eq!(named("/client/?hub=Chat&id=x").unwrap(), "chat");
        for uri in ["/api/health?hub=chat", "/client/", "/api/hubs/1/:send", "/api/hubs/%FF"] {
            assert_eq!(named(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_path_says_which_side_it_is() {
        assert_eq!(face("/client/negotiate/"), Face::Negotiate);
        assert_eq!(face("/client/"), Face::Connect);
        assert_eq!(face("/api/hubs/chat/:send"), Face::Rest);
    }
}
