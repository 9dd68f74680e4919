//! Asking for faults, looking at them, and calling them off.
//!
//! A wish is read strictly: a fault that is quietly another than the one asked for would waste an afternoon.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Desk, read};
use crate::api_error::ApiError;
use crate::faults::{Effect, Face, FaultId, MessageFault, RequestFault, Rule, Treatment};
use crate::hub_name::HubName;

/// Longest delay, in milliseconds.
const LONGEST_DELAY: u64 = 10 * 60 * 1_000;

/// A fault as somebody asks for it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    on: Side,
    hub: Option<String>,
    path: Option<String>,
    connection: Option<String>,
    effect: Kind,
    milliseconds: Option<u64>,
    status: Option<u16>,
    retry_after_seconds: Option<u32>,
    times: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Rest,
    Negotiate,
    Connect,
    Messages,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Refuse,
    Delay,
    Answer,
    Duplicate,
    Reorder,
    Drop,
}

pub(super) async fn list(State(desk): State<Desk>) -> Response {
    Json(json!({"faults": desk.watch.faults().all()})).into_response()
}

pub(super) async fn add(State(desk): State<Desk>, request: Request) -> Response {
    match ask_for(&desk, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_json(),
    }
}

async fn ask_for(desk: &Desk, request: Request) -> Result<Response, ApiError> {
    let wish: Wish = read(request).await?;
    let times = wish.times;
    if times == Some(0) {
        return Err(ApiError::invalid(
            "times",
            "`times` is 1 or more; without it the fault strikes until it is deleted",
        ));
    }
    let rule = wish.rule()?;
    let mut faults = desk.watch.faults();
    match faults.add(rule, times) {
        Ok(fault) => Ok((StatusCode::CREATED, Json(fault)).into_response()),
        Err(_) => {
            let message = "there are as many faults as there may be; DELETE /emulator/faults calls them off";
            Err(ApiError::new(StatusCode::CONFLICT, "TooManyFaults", message))
        }
    }
}

pub(super) async fn remove(State(desk): State<Desk>, Path(id): Path<String>) -> Response {
    let removed = id.parse().is_ok_and(|id| desk.watch.faults().remove(FaultId(id)));
    if removed {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::not_found("there is no fault of this id; GET /emulator/faults lists them").into_json()
}

pub(super) async fn clear(State(desk): State<Desk>) -> StatusCode {
    desk.watch.faults().clear();
    StatusCode::NO_CONTENT
}

impl Wish {
    fn rule(self) -> Result<Rule, ApiError> {
        let face = match self.on {
            Side::Rest => Face::Rest,
            Side::Negotiate => Face::Negotiate,
            Side::Connect => Face::Connect,
            Side::Messages => return self.message_rule(),
        };
        let effect = match self.effect {
            Kind::Refuse => Effect::Refuse,
            Kind::Delay => Effect::Delay { milliseconds: self.delay()? },
            Kind::Answer => {
                Effect::Answer { status: self.status()?, retry_after_seconds: self.retry_after_seconds }
            }
            Kind::Duplicate | Kind::Reorder | Kind::Drop => {
                return Err(ApiError::invalid(
                    "effect",
                    "this effect is for messages: `\"on\":\"messages\"`",
                ));
            }
        };
        let pointless = [
            ("connection", self.connection.is_some()),
            ("milliseconds", self.effect != Kind::Delay && self.milliseconds.is_some()),
            ("status", self.effect != Kind::Answer && self.status.is_some()),
            ("retryAfterSeconds", self.effect != Kind::Answer && self.retry_after_seconds.is_some()),
        ];
        refuse_pointless(&pointless)?;
        let hub = self.hub.as_deref().map(hub_name).transpose()?;
        Ok(Rule::Request(RequestFault { on: face, hub, path: self.path, effect }))
    }

    fn message_rule(self) -> Result<Rule, ApiError> {
        let treatment = match self.effect {
            Kind::Duplicate => Treatment::Duplicate,
            Kind::Reorder => Treatment::Reorder,
            Kind::Drop => Treatment::Drop,
            Kind::Refuse | Kind::Delay | Kind::Answer => {
                return Err(ApiError::invalid("effect", "messages can be duplicated, reordered or dropped"));
            }
        };
        let pointless = [
            ("path", self.path.is_some()),
            ("milliseconds", self.milliseconds.is_some()),
            ("status", self.status.is_some()),
            ("retryAfterSeconds", self.retry_after_seconds.is_some()),
        ];
        refuse_pointless(&pointless)?;
        let hub =
            self.hub.ok_or_else(|| ApiError::invalid("hub", "name the `hub` whose messages are meant"))?;
        Ok(Rule::Message(MessageFault { hub: hub_name(&hub)?, connection: self.connection, treatment }))
    }

    fn delay(&self) -> Result<u64, ApiError> {
        let delay = self.milliseconds.filter(|delay| (1..=LONGEST_DELAY).contains(delay));
        delay.ok_or_else(|| {
            ApiError::invalid("milliseconds", format!("a delay has `milliseconds`, 1 to {LONGEST_DELAY}"))
        })
    }

    fn status(&self) -> Result<u16, ApiError> {
        let status = self.status.filter(|status| (400..=599).contains(status));
        status.ok_or_else(|| {
            ApiError::invalid("status", "an answer has a `status` from 400 to 599, such as 429")
        })
    }
}

fn refuse_pointless(given: &[(&'static str, bool)]) -> Result<(), ApiError> {
    let pointless = given.iter().find(|(_, given)| *given);
    pointless.map_or(Ok(()), |&(name, _)| {
        Err(ApiError::invalid(name, format!("`{name}` means nothing to this fault: leave it out")))
    })
}

fn hub_name(hub: &str) -> Result<String, ApiError> {
    Ok(HubName::of_client(hub)?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(wish: &str) -> Result<Rule, String> {
        let wish: Wish = serde_json::from_str(wish).map_err(|error| error.to_string())?;
        wish.rule().map_err(|refusal| refusal.message().to_owned())
    }

    #[test]
    fn a_wish_becomes_the_rule_it_names() {
        assert_eq!(
            rule(
                r#"{"on":"rest","hub":"Chat","effect":"answer","status":429,"retryAfterSeconds":2,"times":3}"#
            ),
            Ok(Rule::Request(RequestFault {
                on: Face::Rest,
                hub: Some("chat".into()),
                path: None,
                effect: Effect::Answer { status: 429, retry_after_seconds: Some(2) },
            }))
        );
        assert_eq!(
            rule(r#"{"on":"messages","hub":"chat","connection":"c","effect":"reorder"}"#),
            Ok(Rule::Message(MessageFault {
                hub: "chat".into(),
                connection: Some("c".into()),
                treatment: Treatment::Reorder,
            }))
        );
    }

    #[test]
    fn a_wish_that_says_too_little_or_too_much_is_refused() {
        for wish in [
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
            assert!(rule(wish).is_err(), "{wish}");
        }
    }
}
