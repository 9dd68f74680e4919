//! What can be done to open connections: `POST /emulator/connections/{command}`.
//!
//! Whom it is done to is always named, at least the hub; an empty body means nobody, not everybody.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Desk, read};
use crate::api_error::ApiError;
use crate::faults::Command;
use crate::hub::{ConnectionId, UserId};
use crate::hub_name::HubName;
use crate::service::Selection;

/// Whom a command is for, as it is written: all properties that are given have to fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    hub: Option<String>,
    user: Option<String>,
    connection: Option<String>,
}

pub(super) async fn command(
    State(desk): State<Desk>,
    Path(command): Path<String>,
    request: Request,
) -> Response {
    match obey(&desk, &command, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_json(),
    }
}

async fn obey(desk: &Desk, command: &str, request: Request) -> Result<Response, ApiError> {
    let command = match command {
        "drop" => Command::Drop,
        "freeze" => Command::Freeze,
        "thaw" => Command::Thaw,
        "expire" => Command::Expire,
        _ => return Err(ApiError::not_found("connections obey drop, freeze, thaw and expire")),
    };
    let whom: Whom = read(request).await?;
    let reached = desk.service.command(&whom.selection()?, command);
    if reached == 0 {
        return Err(ApiError::not_found(
            "nobody like that is connected; GET /emulator/connections lists who is",
        ));
    }
    Ok(Json(json!({"connections": reached})).into_response())
}

impl Whom {
    fn selection(self) -> Result<Selection, ApiError> {
        if self.hub.is_none() && self.connection.is_none() {
            return Err(ApiError::invalid(
                "hub",
                "say whom: a `connection`, a `hub`, or a `user` of a `hub`",
            ));
        }
        let user = self.user.map(|user| {
            UserId::new(&user).ok_or_else(|| ApiError::invalid("user", "nobody has an empty user id"))
        });
        Ok(Selection {
            hub: self.hub.as_deref().map(HubName::of_client).transpose()?,
            user: user.transpose()?,
            connection: self.connection.as_deref().map(ConnectionId::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(whom: &str) -> Option<Selection> {
        serde_json::from_str::<Whom>(whom).ok()?.selection().ok()
    }

    #[test]
    fn who_names_nobody_reaches_nobody() {
        for whom in
            ["{}", r#"{"user":"u"}"#, r#"{"hub":"chat","user":""}"#, r#"{"hub":"1"}"#, r#"{"hup":"chat"}"#]
        {
            assert!(selection(whom).is_none(), "{whom}");
        }
    }

    #[test]
    fn a_connection_a_hub_or_a_user_of_a_hub_can_be_named() {
        let chosen = selection(r#"{"hub":"Chat","user":"u"}"#).unwrap();
        assert_eq!(chosen.hub, Some(HubName::of_client("chat").unwrap()));
        assert_eq!(chosen.user, UserId::new("u"));
        assert_eq!(selection(r#"{"connection":"c"}"#).unwrap().connection, Some(ConnectionId::new("c")));
    }
}
