//! `:execute`: runs commands for all connections of a hub that match a filter.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use tracing::debug;

use super::call::{Call, group_name};
use super::filter::{Filter, Subject};
use super::messages::{self, Payload};
use crate::api_error::ApiError;
use crate::hub::{ConnectionId, UserId};
use crate::protocol::OutgoingMessage;
use crate::service::CloseOptions;
use crate::service::hub_operations::Command;

/// Runs the commands of the body. All are parsed before the first runs.
pub(super) async fn execute(call: &Call<'_>, body: Body) -> Result<Response, ApiError> {
    let (hub, filter) = (call.hub()?, filter(call)?);
    let allow_reconnect = call.service.options.reconnect_after_close;
    let commands = parse_commands(&messages::read_json(call, body).await?, allow_reconnect)?;
    let matches = |connection: &ConnectionId, user: Option<&UserId>, groups: &[&str]| {
        let user = user.map(UserId::as_str);
        let subject = Subject { connection: connection.as_str(), user, groups };
        filter.as_ref().is_none_or(|filter| filter.matches(subject))
    };
    let reached = call.service.execute(&hub, matches, &commands).await;
    debug!(%hub, reached, "executed {} commands for {reached} connections of hub {hub}", commands.len());
    Ok(StatusCode::ACCEPTED.into_response())
}

fn filter(call: &Call<'_>) -> Result<Option<Filter>, ApiError> {
    let Some(text) = call.query().last("filter") else { return Ok(None) };
    if text.trim().is_empty() {
        return Err(ApiError::invalid("filter", "`filter` is empty; leave it out to reach all connections"));
    }
    Filter::parse(&text).map(Some).map_err(|invalid| ApiError::invalid("filter", invalid.to_string()))
}

/// The properties of a command, with names in lower case.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Parses the commands. `allow_reconnect` is for those that close connections.
fn parse_commands(body: &[u8], allow_reconnect: bool) -> Result<Vec<Command>, ApiError> {
    let commands: Vec<Fields<'_>> = serde_json::from_slice(body).map_err(|error| {
        let shape = r#"[{"type":"SendMessage","message":{"target":"…"}}]"#;
        invalid(format!("the body is not a list of commands such as {shape}: {error}"))
    })?;
    let parsed = commands.into_iter().enumerate().map(|(index, fields)| {
        let fields = fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        parse_command(&fields, allow_reconnect)
            .map_err(|error| invalid(format!("command {}: {}", index + 1, error.message())))
    });
    parsed.collect()
}

fn parse_command(fields: &Fields<'_>, allow_reconnect: bool) -> Result<Command, ApiError> {
    let group = || group_name(&text(fields, "group")?.unwrap_or_default());
    match text(fields, "type")?.as_deref() {
        Some("SendMessage") => {
            let message = fields.get("message").ok_or_else(|| invalid("a SendMessage has a `message`"))?;
            let Payload { target, arguments } = messages::parse(message.get().as_bytes())?;
            Ok(Command::Send(OutgoingMessage::invocation(target, arguments.to_owned())))
        }
        Some("JoinGroup") => Ok(Command::Join(group()?)),
        Some("LeaveGroup") => Ok(Command::Leave(group()?)),
        Some("CloseConnection") => {
            let reason = text(fields, "reason")?.filter(|reason| !reason.is_empty());
            Ok(Command::Close(CloseOptions { reason, allow_reconnect }))
        }
        _ => Err(invalid("its `type` is SendMessage, JoinGroup, LeaveGroup or CloseConnection")),
    }
}

fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    serde_json::from_str(value.get()).map_err(|_| invalid(format!("`{name}` must be a text")))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid("commands", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(body: &str) -> String {
        parse_commands(body.as_bytes(), false).expect_err(body).message().to_owned()
    }

    #[test]
    fn commands_are_read_in_their_order_and_names_of_properties_ignore_case() {
        let body = r#"[{"Type":"JoinGroup","Group":"g"},{"type":"SendMessage","Message":{"Target":"t"}},
            {"type":"LeaveGroup","group":"g","more":1},{"type":"CloseConnection","reason":null}]"#;
        let read = parse_commands(body.as_bytes(), false).unwrap();
        assert!(matches!(
            read[..],
            [Command::Join(_), Command::Send(_), Command::Leave(_), Command::Close(CloseOptions { reason: None, .. })]
        ));
        assert!(parse_commands(b"[]", false).unwrap().is_empty());
    }

    #[test]
    fn an_invalid_command_is_named_by_its_number() {
        for (body, expected) in [
            ("", "not a list of commands"),
            (r#"{"type":"JoinGroup","group":"g"}"#, "not a list of commands"),
            (r#"[{"type":"JoinGroup","group":"g"},{"type":"Sing"}]"#, "command 2: its `type` is"),
            (r#"[{"type":"joingroup","group":"g"}]"#, "command 1: its `type` is"),
            (r#"[{"type":"JoinGroup"}]"#, "command 1: `group` must be"),
            (r#"[{"type":"LeaveGroup","group":7}]"#, "command 1: `group` must be a text"),
            (r#"[{"type":"SendMessage"}]"#, "command 1: a SendMessage has a `message`"),
            (r#"[{"type":"SendMessage","message":{"arguments":[]}}]"#, "command 1: `target` must be"),
        ] {
            assert!(rejected(body).contains(expected), "{body}: {}", rejected(body));
        }
    }
}
