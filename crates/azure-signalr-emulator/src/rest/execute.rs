//! Commands for all connections that a filter is true of, and for all of the hub without one.
//!
//! All are read before any is carried out, so that a mistake in the last does not leave the others half done.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use tracing::debug;

use super::body;
use super::call::{Call, group_name};
use super::filter::{Filter, Subject};
use super::payload::{self, Payload};
use crate::hub::UserId;
use crate::protocol::OutgoingMessage;
use crate::refusal::Refusal;
use crate::service::{CloseOptions, Command};

pub(super) async fn execute(call: &Call<'_>, hub: &str, body: Body) -> Result<Response, Refusal> {
    let (hub, filter) = (call.hub(hub)?, filter(call)?);
    payload::check_json(&call.parts.headers, call.version)?;
    let allow_reconnect = call.service.options.reconnect_after_close;
    let orders = orders(&body::read(body).await?, allow_reconnect)?;
    let reached = call.service.execute(
        &hub,
        |connection, user, groups| {
            let user = user.map(UserId::as_str);
            let subject = Subject { connection: connection.as_str(), user, groups };
            filter.as_ref().is_none_or(|filter| filter.matches(subject))
        },
        &orders,
    );
    debug!(%hub, reached, "executed {} commands for {reached} connections of hub {hub}", orders.len());
    Ok(StatusCode::ACCEPTED.into_response())
}

fn filter(call: &Call<'_>) -> Result<Option<Filter>, Refusal> {
    let Some(text) = call.query().last("filter") else { return Ok(None) };
    if text.trim().is_empty() {
        return Err(Refusal::invalid("filter", "`filter` is empty; to reach everyone, leave it out"));
    }
    Filter::parse(&text).map(Some).map_err(|invalid| Refusal::invalid("filter", invalid.to_string()))
}

/// The properties of a command, whose names ignore case.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// `allow_reconnect` is what those are told that are closed.
fn orders(body: &[u8], allow_reconnect: bool) -> Result<Vec<Command>, Refusal> {
    let commands: Vec<Fields<'_>> = serde_json::from_slice(body).map_err(|error| {
        let shape = r#"[{"type":"SendMessage","message":{"target":"…"}}]"#;
        invalid(format!("the body is no list of commands such as {shape}: {error}"))
    })?;
    let orders = commands.into_iter().enumerate().map(|(index, fields)| {
        let fields = fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        order(&fields, allow_reconnect)
            .map_err(|refusal| invalid(format!("command {}: {}", index + 1, refusal.message())))
    });
    orders.collect()
}

fn order(fields: &Fields<'_>, allow_reconnect: bool) -> Result<Command, Refusal> {
    let group = || group_name(&text(fields, "group")?.unwrap_or_default());
    match text(fields, "type")?.as_deref() {
        Some("SendMessage") => {
            let message = fields.get("message").ok_or_else(|| invalid("a SendMessage has a `message`"))?;
            let Payload { target, arguments } = payload::parse(message.get().as_bytes())?;
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

fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    serde_json::from_str(value.get()).map_err(|_| invalid(format!("`{name}` must be a text")))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::invalid("commands", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        orders(body.as_bytes(), false).expect_err(body).message().to_owned()
    }

    #[test]
    fn commands_are_read_in_their_order_and_names_of_properties_ignore_case() {
        let body = r#"[{"Type":"JoinGroup","Group":"g"},{"type":"SendMessage","Message":{"Target":"t"}},
            {"type":"LeaveGroup","group":"g","more":1},{"type":"CloseConnection","reason":null}]"#;
        let read = orders(body.as_bytes(), false).unwrap();
        assert!(matches!(
            read[..],
            [
                Command::Join(_),
                Command::Send(_),
                Command::Leave(_),
                Command::Close(CloseOptions { reason: None, .. })
            ]
        ));
        assert!(orders(b"[]", false).unwrap().is_empty());
    }

    #[test]
    fn a_bad_command_is_told_by_its_place() {
        for (body, words) in [
            ("", "no list of commands"),
            (r#"{"type":"JoinGroup","group":"g"}"#, "no list of commands"),
            (r#"[{"type":"JoinGroup","group":"g"},{"type":"Sing"}]"#, "command 2: its `type` is"),
            (r#"[{"type":"joingroup","group":"g"}]"#, "command 1: its `type` is"),
            (r#"[{"type":"JoinGroup"}]"#, "command 1: `group` must be"),
            (r#"[{"type":"LeaveGroup","group":7}]"#, "command 1: `group` must be a text"),
            (r#"[{"type":"SendMessage"}]"#, "command 1: a SendMessage has a `message`"),
            (r#"[{"type":"SendMessage","message":{"arguments":[]}}]"#, "command 1: `target` must be"),
        ] {
            assert!(refused(body).contains(words), "{body}: {}", refused(body));
        }
    }
}
