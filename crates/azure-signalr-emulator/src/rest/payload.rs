//! The body of a send: which target to call at the clients, with which arguments.
//!
//! Property names ignore case, since the .NET SDK capitalises them; their values are passed on byte for byte. Since
//! 2022 a body may also be a MessagePack map from hub protocols to messages that the caller has framed for them.

use std::fmt;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::body;
use super::call::Call;
use super::version::Version;
use crate::protocol::{OutgoingMessage, outgoing_message};
use crate::refusal::Refusal;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    /// A map from hub protocols to framed messages.
    Prepared,
}

/// A message as a caller wrote it.
pub(super) struct Payload<'a> {
    pub(super) target: String,
    /// A JSON array.
    pub(super) arguments: &'a RawValue,
}

/// Reads the message of a call.
pub(super) async fn message(call: &Call<'_>, body: Body) -> Result<OutgoingMessage, Refusal> {
    let format = format(&call.parts.headers, call.version)?;
    let body = body::read(body).await?;
    match format {
        Format::Json => {
            let Payload { target, arguments } = parse(&body)?;
            Ok(OutgoingMessage::invocation(target, arguments.to_owned()))
        }
        Format::Prepared => outgoing_message::parse_body(&body)
            .map_err(|error| invalid(format!("the body is no map of framed messages: {error}"))),
    }
}

/// A body of no stated type is taken for JSON.
pub(super) fn format(headers: &HeaderMap, version: Version) -> Result<Format, Refusal> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return Ok(Format::Json) };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let message = match (essence.as_str(), version) {
        ("application/json", _) => return Ok(Format::Json),
        (_, Version::V1 | Version::V2020_10) => "the body must be `application/json`",
        ("application/octet-stream", _) => return Ok(Format::Prepared),
        // The specification lists the type, and no text says what such a body looks like.
        ("application/x-msgpack", _) => {
            "nobody has described what an `application/x-msgpack` body holds; send `application/json`, which reaches \
             MessagePack clients too, or `application/octet-stream`, a MessagePack map from hub protocol to framed message"
        }
        _ => "the body must be `application/json` or `application/octet-stream`",
    };
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
}

/// Refuses all but JSON, for what has no other form.
pub(super) fn check_json(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    match format(headers, version)? {
        Format::Json => Ok(()),
        Format::Prepared => {
            let message =
                "the body must be `application/json`: a message framed by the caller will not do here";
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
        }
    }
}

/// Reads a JSON body.
pub(super) fn parse(body: &[u8]) -> Result<Payload<'_>, Refusal> {
    if body.is_empty() {
        return Err(invalid(r#"the body is empty; send {"target":"…","arguments":[…]}"#));
    }
    let fields: Fields<'_> = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("the body is not a message: {error}")))?;
    let target = fields.target.filter(|target| !target.is_empty());
    let target =
        target.ok_or_else(|| Refusal::invalid("target", "`target` must be a text that is not empty"))?;
    let arguments = match fields.arguments.map(|arguments| (arguments, arguments.get())) {
        Some((arguments, text)) if text.starts_with('[') => arguments,
        None | Some((_, "null")) => no_arguments(),
        Some(_) => return Err(Refusal::invalid("arguments", "`arguments` must be an array, null or absent")),
    };
    Ok(Payload { target, arguments })
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::invalid("payload", message)
}

fn no_arguments() -> &'static RawValue {
    serde_json::from_str("[]").expect("an empty array is JSON")
}

/// The properties of a message, whatever the case of their names. The last of several counts; unknown ones do not.
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
        for body in
            [r#"{"target":"x"}"#, r#"{"target":"x","arguments":null}"#, r#"{"target":"x","arguments":[]}"#]
        {
            assert_eq!(read(body).1, "[]", "{body}");
        }
    }

    #[test]
    fn arguments_are_passed_on_as_they_were_written() {
        let arguments = r#"[ 1.0, 12345678901234567890, "2020-01-01T00:00:00Z", "\u00e9" ]"#;
        assert_eq!(read(&[r#"{"target":"x","arguments":"#, arguments, "}"].concat()).1, arguments);
    }

    #[test]
    fn what_is_no_message_is_refused() {
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
    fn framed_messages_are_there_since_2022() {
        for version in [Version::V1, Version::V2020_10, Version::V2022_06, Version::V2024_12] {
            assert_eq!(format_of("Application/JSON; charset=utf-8", version), Some(Format::Json));
            assert_eq!(format_of("application/x-msgpack", version), None);
            let since = (version >= Version::V2022_06).then_some(Format::Prepared);
            assert_eq!(format_of("application/octet-stream", version), since, "{version}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_makes_one_record(arguments in r#"\[("[^"\\]{0,5}"|[0-9]{1,3}|,|\[|\]){0,6}\]"#) {
            let body = [r#"{"target":"x","arguments":"#, &arguments, "}"].concat();
            if let Ok(Payload { target, arguments }) = parse(body.as_bytes()) {
                let frame = OutgoingMessage::invocation(target, arguments.to_owned()).frame(Protocol::Json).unwrap();
                let separator = frame.as_bytes().iter().position(|&byte| byte == 0x1e);
                prop_assert_eq!(separator, Some(frame.len() - 1));
            }
        }
    }
}
