//! The body of a send: which target to call at the clients, with which arguments.
//!
//! Property names ignore case, since the .NET SDK capitalises them; their values are passed on byte for byte.

use std::fmt;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::route::Edition;
use crate::refusal::Refusal;

/// Largest body of a REST call, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// How much of a body that is too large is still read, in bytes. A caller that is cut off while it sends sees a broken
/// connection instead of the answer.
const READ_TO_ANSWER: usize = 16 << 20;

/// Bodies the real service takes since 2022 in place of JSON.
const BINARY: [&str; 2] = ["application/octet-stream", "application/x-msgpack"];

/// A message as a caller wrote it.
pub(super) struct Payload<'a> {
    pub(super) target: String,
    /// A JSON array.
    pub(super) arguments: &'a RawValue,
}

/// A body of no stated type is taken for JSON.
pub(super) fn check_content_type(headers: &HeaderMap, edition: Edition) -> Result<(), Refusal> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" {
        return Ok(());
    }
    if edition == Edition::Dated && BINARY.contains(&essence.as_str()) {
        return Err(Refusal::not_emulated("Sending a MessagePack or octet-stream body"));
    }
    let message = "the body must be `application/json`";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message))
}

/// Reads the whole body, in pieces or not.
pub(super) async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut read, mut whole) = (0, BytesMut::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| invalid("the body broke off"))?;
        read += chunk.len();
        if read <= LARGEST_BODY {
            whole.extend_from_slice(&chunk);
        } else {
            whole = BytesMut::new();
        }
        if read > READ_TO_ANSWER {
            break;
        }
    }
    if read <= LARGEST_BODY {
        return Ok(whole.freeze());
    }
    let message = format!("the body is larger than {LARGEST_BODY} bytes");
    Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message))
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

    proptest! {
        #[test]
        fn what_is_accepted_makes_one_record(arguments in r#"\[("[^"\\]{0,5}"|[0-9]{1,3}|,|\[|\]){0,6}\]"#) {
            let body = [r#"{"target":"x","arguments":"#, &arguments, "}"].concat();
            if let Ok(payload) = parse(body.as_bytes()) {
                let message = crate::protocol::Message::invocation(payload.target, payload.arguments.to_owned());
                let frame = message.frame(crate::protocol::Protocol::Json).unwrap();
                let separator = frame.as_bytes().iter().position(|byte| *byte == 0x1e);
                prop_assert_eq!(separator, Some(frame.len() - 1));
            }
        }
    }
}
