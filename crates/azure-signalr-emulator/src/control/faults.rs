//! Adds, lists and removes faults, and injects the faults of requests.
//!
//! Unknown and meaningless properties of a fault are rejected.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::{ControlState, read_json};
use crate::api_error::ApiError;
use crate::diagnostics::Diagnostics;
use crate::fault_injection::{
    Endpoint, FaultRule, MessageEffect, MessageFault, RequestEffect, RequestFault, RequestInfo,
};
use crate::hub::HubName;
use crate::request::{Query, path_segments};

/// Maximum delay of a request.
const MAX_DELAY_MILLISECONDS: u64 = 10 * 60 * 1_000;

/// The body of a POST request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FaultRequest {
    on: Target,
    hub: Option<String>,
    path: Option<String>,
    connection: Option<String>,
    effect: EffectName,
    milliseconds: Option<u64>,
    status: Option<u16>,
    retry_after_seconds: Option<u32>,
    times: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    Rest,
    Negotiate,
    Connect,
    Messages,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EffectName {
    Refuse,
    Delay,
    Answer,
    Duplicate,
    Reorder,
    Drop,
}

/// `GET /emulator/faults`
pub(super) async fn list(State(state): State<ControlState>) -> Response {
    Json(json!({"faults": state.diagnostics.faults().all()})).into_response()
}

/// `POST /emulator/faults`
pub(super) async fn add(State(state): State<ControlState>, request: Request) -> Response {
    try_add(&state, request).await.unwrap_or_else(ApiError::into_json)
}

async fn try_add(state: &ControlState, request: Request) -> Result<Response, ApiError> {
    let body: FaultRequest = read_json(request).await?;
    let times = body.times;
    if times == Some(0) {
        let message = "`times` is 1 or more; without it the fault is active until it is deleted";
        return Err(ApiError::invalid("times", message));
    }
    let rule = body.rule()?;
    let mut faults = state.diagnostics.faults();
    match faults.add(rule, times) {
        Ok(fault) => Ok((StatusCode::CREATED, Json(fault)).into_response()),
        Err(_) => {
            let message = "there are as many faults as there may be; DELETE /emulator/faults removes them";
            Err(ApiError::new(StatusCode::CONFLICT, "TooManyFaults", message))
        }
    }
}

/// `DELETE /emulator/faults/{id}`
pub(super) async fn remove(State(state): State<ControlState>, Path(id): Path<String>) -> Response {
    let removed = id.parse().is_ok_and(|id| state.diagnostics.faults().remove(id));
    if removed {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::not_found("there is no fault of this id; GET /emulator/faults lists them").into_json()
}

/// `DELETE /emulator/faults`
pub(super) async fn clear(State(state): State<ControlState>) -> StatusCode {
    state.diagnostics.faults().clear();
    StatusCode::NO_CONTENT
}

impl FaultRequest {
    fn rule(self) -> Result<FaultRule, ApiError> {
        let endpoint = match self.on {
            Target::Rest => Endpoint::Rest,
            Target::Negotiate => Endpoint::Negotiate,
            Target::Connect => Endpoint::Connect,
            Target::Messages => return self.message_rule(),
        };
        let effect = match self.effect {
            EffectName::Refuse => RequestEffect::Refuse,
            EffectName::Delay => RequestEffect::Delay { milliseconds: self.delay()? },
            EffectName::Answer => {
                RequestEffect::Answer { status: self.status()?, retry_after_seconds: self.retry_after_seconds }
            }
            EffectName::Duplicate | EffectName::Reorder | EffectName::Drop => {
                return Err(ApiError::invalid("effect", "this effect is for messages: `\"on\":\"messages\"`"));
            }
        };
        self.check_properties(match self.effect {
            EffectName::Delay => &["path", "milliseconds"],
            EffectName::Answer => &["path", "status", "retryAfterSeconds"],
            _ => &["path"],
        })?;
        let hub = self.hub.as_deref().map(hub_name).transpose()?;
        Ok(FaultRule::Request(RequestFault { on: endpoint, hub, path: self.path, effect }))
    }

    fn message_rule(self) -> Result<FaultRule, ApiError> {
        let effect = match self.effect {
            EffectName::Duplicate => MessageEffect::Duplicate,
            EffectName::Reorder => MessageEffect::Reorder,
            EffectName::Drop => MessageEffect::Drop,
            EffectName::Refuse | EffectName::Delay | EffectName::Answer => {
                return Err(ApiError::invalid("effect", "messages can be duplicated, reordered or dropped"));
            }
        };
        self.check_properties(&["connection"])?;
        let hub = self.hub.ok_or_else(|| ApiError::invalid("hub", "name the `hub` whose messages are meant"))?;
        Ok(FaultRule::Message(MessageFault { hub: hub_name(&hub)?, connection: self.connection, effect }))
    }

    /// Rejects properties that have no meaning for this fault.
    fn check_properties(&self, allowed: &[&str]) -> Result<(), ApiError> {
        let given = [
            ("path", self.path.is_some()),
            ("connection", self.connection.is_some()),
            ("milliseconds", self.milliseconds.is_some()),
            ("status", self.status.is_some()),
            ("retryAfterSeconds", self.retry_after_seconds.is_some()),
        ];
        match given.iter().find(|(name, is_given)| *is_given && !allowed.contains(name)) {
            Some(&(name, _)) => {
                Err(ApiError::invalid(name, format!("`{name}` means nothing to this fault: leave it out")))
            }
            None => Ok(()),
        }
    }

    fn delay(&self) -> Result<u64, ApiError> {
        let delay = self.milliseconds.filter(|delay| (1..=MAX_DELAY_MILLISECONDS).contains(delay));
        delay.ok_or_else(|| {
            ApiError::invalid("milliseconds", format!("a delay has `milliseconds`, 1 to {MAX_DELAY_MILLISECONDS}"))
        })
    }

    fn status(&self) -> Result<u16, ApiError> {
        let status = self.status.filter(|status| (400..=599).contains(status));
        status.ok_or_else(|| ApiError::invalid("status", "an answer has a `status` from 400 to 599, such as 429"))
    }
}

fn hub_name(hub: &str) -> Result<String, ApiError> {
    Ok(HubName::of_client(hub)?.as_str().to_owned())
}

/// Middleware: serves the request, perhaps later, or ends it with a fault. CORS preflights do not get here.
pub(super) async fn inject(State(diagnostics): State<Arc<Diagnostics>>, request: Request, next: Next) -> Response {
    if diagnostics.faults().all().is_empty() {
        return next.run(request).await;
    }
    let uri = request.uri();
    let (endpoint, hub) = (endpoint(uri.path()), hub(uri));
    let info = RequestInfo { endpoint, hub: hub.as_ref().map(HubName::as_str), path: uri.path() };
    let faults = diagnostics.faults().apply_to_request(info);
    if !faults.delay.is_zero() {
        tokio::time::sleep(faults.delay).await;
    }
    match faults.end {
        Some(RequestEffect::Answer { status, retry_after_seconds }) => {
            fault_response(endpoint, status, retry_after_seconds)
        }
        Some(RequestEffect::Refuse) => close_socket(),
        Some(RequestEffect::Delay { .. }) | None => next.run(request).await,
    }
}

fn endpoint(path: &str) -> Endpoint {
    match path.trim_end_matches('/').to_ascii_lowercase().as_str() {
        "/client/negotiate" => Endpoint::Negotiate,
        "/client" => Endpoint::Connect,
        _ => Endpoint::Rest,
    }
}

/// The hub that a request names, if the name is valid.
fn hub(uri: &Uri) -> Option<HubName> {
    let query = Query::new(uri.query());
    // Neither fixed segments nor names of hubs depend on letter case.
    let segments = path_segments(&uri.path().to_ascii_lowercase()).ok()?;
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

fn fault_response(endpoint: Endpoint, status: u16, retry_after_seconds: Option<u32>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = ApiError::new(status, "Emulator.Fault", "this answer is a fault that was asked for");
    let mut response = if endpoint == Endpoint::Rest { error.into_json() } else { error.into_text() };
    if let Some(seconds) = retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A response whose body fails before the head is sent: the server then closes the socket.
fn close_socket() -> Response {
    let failing = stream::iter([Err::<Bytes, _>(io::Error::other("a fault that was asked for"))]);
    let message = "the socket was closed instead of an answer, by a fault that was asked for";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let error = ApiError::new(status, "Emulator.Fault", message);
    (status, Extension(error), Body::from_stream(failing)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(body: &str) -> Result<FaultRule, String> {
        let body: FaultRequest = serde_json::from_str(body).map_err(|error| error.to_string())?;
        body.rule().map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_body_becomes_a_rule() {
        let body = r#"{"on":"rest","hub":"Chat","effect":"answer","status":429,"retryAfterSeconds":2,"times":3}"#;
        let effect = RequestEffect::Answer { status: 429, retry_after_seconds: Some(2) };
        let fault = RequestFault { on: Endpoint::Rest, hub: Some("chat".into()), path: None, effect };
        assert_eq!(rule(body), Ok(FaultRule::Request(fault)));
        let body = r#"{"on":"messages","hub":"chat","connection":"c","effect":"reorder"}"#;
        let (hub, connection) = ("chat".into(), Some("c".into()));
        let fault = MessageFault { hub, connection, effect: MessageEffect::Reorder };
        assert_eq!(rule(body), Ok(FaultRule::Message(fault)));
    }

    #[test]
    fn an_incomplete_or_meaningless_body_is_rejected() {
        for body in [
            r#"{"on":"rest"}"#,
            r#"{"on":"rest","effect":"delay"}"#,
            r#"{"on":"rest","effect":"delay","milliseconds":600001}"#,
            r#"{"on":"rest","effect":"answer"}"#,
            r#"{"on":"rest","effect":"answer","status":200}"#,
            r#"{"on":"rest","effect":"refuse","status":500}"#,
            r#"{"on":"rest","effect":"drop"}"#,
            r#"{"on":"rest","effect":"refuse","connection":"c"}"#,
            r#"{"on":"rest","effect":"refuse","hub":"1"}"#,
            r#"{"on":"rest","effect":"refuse","tiems":1}"#,
            r#"{"on":"messages","effect":"drop"}"#,
            r#"{"on":"messages","hub":"chat","effect":"refuse"}"#,
            r#"{"on":"messages","hub":"chat","effect":"drop","path":"/"}"#,
        ] {
            assert!(rule(body).is_err(), "{body}");
        }
    }

    fn hub_of(uri: &'static str) -> Option<String> {
        hub(&Uri::from_static(uri)).map(|hub| hub.as_str().to_owned())
    }

    #[test]
    fn the_hub_is_in_the_path_or_in_the_query() {
        assert_eq!(hub_of("/api/hubs/Chat/:send?application=App").unwrap(), "app_chat");
        assert_eq!(hub_of("/api/v1/hubs/chat").unwrap(), "chat");
        assert_eq!(hub_of("/client/?hub=Chat&id=x").unwrap(), "chat");
        for uri in ["/api/health?hub=chat", "/client/", "/api/hubs/1/:send", "/api/hubs/%FF"] {
            assert_eq!(hub_of(uri), None, "{uri}");
        }
    }

    #[test]
    fn the_path_determines_the_endpoint() {
        assert_eq!(endpoint("/client/negotiate/"), Endpoint::Negotiate);
        assert_eq!(endpoint("/client/"), Endpoint::Connect);
        assert_eq!(endpoint("/api/hubs/chat/:send"), Endpoint::Rest);
    }
}
