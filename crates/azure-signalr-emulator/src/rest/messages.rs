//! Sends messages, invokes clients, and feeds streams.

use std::collections::HashSet;
use std::fmt;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tokio::time::timeout;
use tracing::debug;

use super::call::{Call, connection_id, read_body, recipients};
use super::charset::Charset;
use super::route::{Stream, Target, Version};
use crate::api_error::ApiError;
use crate::protocol::{Outcome, OutgoingMessage, ServerMessage, outgoing_message};
use crate::service::AddressedMessage;

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json(Charset),
    /// A MessagePack map from hub protocols to messages that the caller has framed.
    Prepared,
}

/// The target and the arguments of a message. Arguments are passed on byte for byte.
pub(super) struct Payload<'a> {
    pub(super) target: String,
    /// A JSON array.
    pub(super) arguments: &'a RawValue,
}

/// Reads the message of a call.
async fn message(call: &Call<'_>, body: Body) -> Result<OutgoingMessage, ApiError> {
    let format = format(&call.parts.headers, call.version)?;
    let body = read_body(body).await?;
    match format {
        Format::Json(charset) => {
            let body = charset.decode(body)?;
            let Payload { target, arguments } = parse(&body)?;
            Ok(OutgoingMessage::invocation(target, arguments.to_owned()))
        }
        Format::Prepared => outgoing_message::parse_body(&body)
            .map_err(|error| invalid(format!("the body is not a map of framed messages: {error}"))),
    }
}

/// The format of a body by its `Content-Type`; JSON in UTF-8 without one.
fn format(headers: &HeaderMap, version: Version) -> Result<Format, ApiError> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return Ok(Format::Json(Charset::Utf8)) };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let message = match (essence.as_str(), version) {
        ("application/json", _) => return Charset::of_content_type(content_type).map(Format::Json),
        (_, Version::V1 | Version::V2020_10) => "the body must be `application/json`",
        ("application/octet-stream", _) => return Ok(Format::Prepared),
        // Azure's specification lists the type without describing such a body.
        ("application/x-msgpack", _) => {
            "Azure does not document `application/x-msgpack` bodies; send `application/json`, which reaches \
             MessagePack clients too, or `application/octet-stream`, a MessagePack map from hub protocol to framed message"
        }
        _ => "the body must be `application/json` or `application/octet-stream`",
    };
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
}

/// Reads a JSON body as UTF-8, for operations without a framed form.
pub(super) async fn read_json(call: &Call<'_>, body: Body) -> Result<Bytes, ApiError> {
    match format(&call.parts.headers, call.version)? {
        Format::Json(charset) => charset.decode(read_body(body).await?),
        Format::Prepared => {
            let message = "the body must be `application/json`: a framed message is not accepted here";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
        }
    }
}

/// Parses a JSON body. Property names ignore letter case, since the .NET SDK capitalizes them.
pub(super) fn parse(body: &[u8]) -> Result<Payload<'_>, ApiError> {
    if body.is_empty() {
        return Err(invalid(r#"the body is empty; send {"target":"…","arguments":[…]}"#));
    }
    let fields: Fields<'_> =
        serde_json::from_slice(body).map_err(|error| invalid(format!("the body is not a message: {error}")))?;
    let target = fields.target.filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| ApiError::invalid("target", "`target` must be a text that is not empty"))?;
    let arguments = match fields.arguments.map(|arguments| (arguments, arguments.get())) {
        Some((arguments, text)) if text.starts_with('[') => arguments,
        None | Some((_, "null")) => no_arguments(),
        Some(_) => {
            return Err(ApiError::invalid("arguments", "`arguments` must be an array, null or absent"));
        }
    };
    Ok(Payload { target, arguments })
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid("payload", message)
}

fn no_arguments() -> &'static RawValue {
    serde_json::from_str("[]").expect("an empty array is JSON")
}

/// The properties of a message. The last of several counts; unknown ones are ignored.
#[derive(Default)]
struct Fields<'a> {
    target: Option<String>,
    arguments: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `target` and `arguments`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            if name.eq_ignore_ascii_case("target") {
                fields.target = map.next_value()?;
            } else if name.eq_ignore_ascii_case("arguments") {
                fields.arguments = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(fields)
    }
}

/// Sends a message to a hub, a group, a user or a connection, connected or not.
pub(super) async fn send(call: &Call<'_>, target: Target<'_>, body: Body) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let recipients = recipients(target)?;
    let excluded = match target {
        Target::Hub | Target::Group(_) => call.excluded(),
        Target::User(_) | Target::Connection(_) => HashSet::new(),
    };
    let message = message(call, body).await?;
    debug!(%hub, bytes = message.size(), "sending a message to hub {hub}");
    call.service.send(AddressedMessage { hub, recipients, excluded, message });
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The response of `:invoke`, empty if the client returns nothing.
#[derive(Serialize)]
struct InvocationResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

/// Invokes a method of a client and waits for its result. Azure does not document the response to an error of the client: here it is
/// 400 with the error as its message.
pub(super) async fn invoke(call: &Call<'_>, connection: &str, body: Body) -> Result<Response, ApiError> {
    let (hub, connection) = (call.hub()?, connection_id(connection)?);
    let body = read_json(call, body).await?;
    let Payload { target, arguments } = parse(&body)?;
    let handle = call.service.connection(&hub, &connection).ok_or_else(no_connection)?;
    let mut invocation = handle.begin_invocation();
    let message = ServerMessage::Invocation { id: Some(&invocation.id), target: &target, arguments };
    call.service.queue_for_connection(&hub, &connection, &handle, &message);
    let limit = call.service.options.result_timeout;
    match timeout(limit, invocation.completion()).await {
        Ok(Ok(Outcome::Result(result))) => Ok(Json(InvocationResult { result: Some(&result) }).into_response()),
        Ok(Ok(Outcome::Void)) => Ok(Json(InvocationResult { result: None }).into_response()),
        Ok(Ok(Outcome::Error(error))) => Ok(failed(error)),
        Ok(Err(_)) => Err(no_connection()),
        Err(_) => {
            let message = format!("the client has not answered within {limit:?}");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "Error.Connection.TimedOut", message))
        }
    }
}

/// The connection is missing, or was closed meanwhile.
fn no_connection() -> ApiError {
    ApiError::absent("Error.Connection.NotExisted", "the connection does not exist, or has ended meanwhile")
}

fn failed(error: String) -> Response {
    let error = ApiError::new(StatusCode::BAD_REQUEST, "Error.Connection.InvocationFailed", error);
    let mut response = error.into_json();
    // The text of the client does not belong into the log, which reads the extension.
    response.extensions_mut().remove::<ApiError>();
    response
}

/// Sends one item, any JSON, and ends the stream if the query says so.
pub(super) async fn send_item(call: &Call<'_>, stream: Stream<'_>, body: Body) -> Result<Response, ApiError> {
    let is_last = flag(call, "completed")?;
    let body = read_json(call, body).await?;
    let item: &RawValue = serde_json::from_slice(&body)
        .map_err(|error| ApiError::invalid("payload", format!("the body is not JSON: {error}")))?;
    let item = ServerMessage::StreamItem { id: stream.id, item };
    let end = ServerMessage::Completion { id: stream.id, outcome: &Outcome::Void };
    send_to_client(call, stream, [Some(item), is_last.then_some(end)].into_iter().flatten())
}

/// Ends a stream, with an error if the query has a reason.
pub(super) fn complete_stream(call: &Call<'_>, stream: Stream<'_>) -> Result<Response, ApiError> {
    let reason = call.query().last("reason").filter(|reason| !reason.is_empty());
    let outcome = reason.map_or(Outcome::Void, |reason| Outcome::Error(reason.into()));
    send_to_client(call, stream, [ServerMessage::Completion { id: stream.id, outcome: &outcome }])
}

fn send_to_client<'m>(
    call: &Call<'_>,
    stream: Stream<'_>,
    messages: impl IntoIterator<Item = ServerMessage<'m>>,
) -> Result<Response, ApiError> {
    let (hub, connection) = (call.hub()?, connection_id(stream.connection)?);
    if stream.id.is_empty() {
        return Err(ApiError::invalid("streamId", "`streamId` must not be empty"));
    }
    let handle = call.service.connection(&hub, &connection).ok_or_else(no_connection)?;
    messages.into_iter().for_each(|message| call.service.queue_for_connection(&hub, &connection, &handle, &message));
    Ok(StatusCode::ACCEPTED.into_response())
}

fn flag(call: &Call<'_>, name: &'static str) -> Result<bool, ApiError> {
    match call.query().last(name).as_deref() {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(ApiError::invalid(name, format!("`{name}` must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use proptest::prelude::*;

    fn read(body: &str) -> (String, String) {
        let Ok(payload) = parse(body.as_bytes()) else { panic!("{body}") };
        (payload.target, payload.arguments.get().to_owned())
    }

    #[test]
    fn property_names_ignore_case_and_unknown_ones_do_not_matter() {
        assert_eq!(read(r#"{"Target":"x","ARGUMENTS":["a"],"more":{}}"#), ("x".into(), r#"["a"]"#.into()));
    }

    #[test]
    fn absent_and_null_arguments_are_none() {
        for body in [r#"{"target":"x"}"#, r#"{"target":"x","arguments":null}"#, r#"{"target":"x","arguments":[]}"#] {
            assert_eq!(read(body).1, "[]", "{body}");
        }
    }

    #[test]
    fn arguments_are_passed_on_as_they_were_written() {
        let arguments = r#"[ 1.0, 12345678901234567890, "2020-01-01T00:00:00Z", "\u00e9" ]"#;
        assert_eq!(read(&[r#"{"target":"x","arguments":"#, arguments, "}"].concat()).1, arguments);
    }

    #[test]
    fn bodies_that_are_not_messages_are_rejected() {
        for body in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"target":""}"#,
            r#"{"target":null}"#,
            r#"{"target":1}"#,
            r#"{"target":"x","arguments":{}}"#,
            r#"{"target":"x","arguments":"["}"#,
            r#"{"target":"x"} x"#,
            "{\"target\":\"x\",\"arguments\":[\"\u{1e}\"]}",
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    fn format_of(content_type: &str, version: Version) -> Option<Format> {
        format(&HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())]), version).ok()
    }

    #[test]
    fn framed_messages_need_a_version_since_2022() {
        for version in [Version::V1, Version::V2020_10, Version::V2022_06, Version::V2024_12] {
            assert_eq!(format_of("Application/JSON; charset=utf-8", version), Some(Format::Json(Charset::Utf8)));
            assert_eq!(format_of("application/x-msgpack", version), None);
            let since = (version >= Version::V2022_06).then_some(Format::Prepared);
            assert_eq!(format_of("application/octet-stream", version), since, "{version}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_body_makes_one_record(arguments in r#"\[("[^"\\]{0,5}"|[0-9]{1,3}|,|\[|\]){0,6}\]"#) {
            let body = [r#"{"target":"x","arguments":"#, &arguments, "}"].concat();
            if let Ok(Payload { target, arguments }) = parse(body.as_bytes()) {
                let frame = OutgoingMessage::invocation(target, arguments.to_owned()).frame(Protocol::Json).unwrap();
                let separator = frame.payload().iter().position(|&byte| byte == 0x1e);
                prop_assert_eq!(separator, Some(frame.len() - 1));
            }
        }
    }
}
