//! The JSON hub protocol: encodes and decodes messages, which are objects; the caller handles the separator.
//!
//! Arguments and results are passed on as text, so no number loses digits and no date changes its spelling. A value is parsed
//! only where the type of the message needs it: unknown types may hold any values, and nesting needs no stack.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::hub_message::{ClientMessage, DecodeError, Outcome, ServerMessage};

/// The properties of messages from the service. Absent ones are left out: some clients fail on `null`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerEnvelope<'a> {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_reconnect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_id: Option<u64>,
}

/// Encodes one record with its separator.
pub(super) fn encode(message: &ServerMessage<'_>) -> String {
    let mut record = serde_json::to_string(&envelope(message))
        .expect("texts, numbers and JSON that was parsed before always serialize");
    record.push('\u{1e}');
    record
}

fn envelope<'a>(message: &ServerMessage<'a>) -> ServerEnvelope<'a> {
    let none = ServerEnvelope::default();
    match *message {
        ServerMessage::Invocation { id, target, arguments } => {
            ServerEnvelope { r#type: 1, invocation_id: id, target: Some(target), arguments: Some(arguments), ..none }
        }
        ServerMessage::StreamItem { id, item } => {
            ServerEnvelope { r#type: 2, invocation_id: Some(id), item: Some(item), ..none }
        }
        ServerMessage::Completion { id, outcome } => {
            let (result, error) = match outcome {
                Outcome::Void => (None, None),
                Outcome::Result(result) => (Some(&**result), None),
                Outcome::Error(error) => (None, Some(error.as_str())),
            };
            ServerEnvelope { r#type: 3, invocation_id: Some(id), result, error, ..none }
        }
        ServerMessage::Ping => ServerEnvelope { r#type: 6, ..none },
        ServerMessage::Close { error, allow_reconnect } => ServerEnvelope { r#type: 7, error, allow_reconnect, ..none },
        ServerMessage::Ack(number) => ServerEnvelope { r#type: 8, sequence_id: Some(number), ..none },
        ServerMessage::Sequence(number) => ServerEnvelope { r#type: 9, sequence_id: Some(number), ..none },
    }
}

const ID: &str = "invocationId";

/// The properties of messages from clients. `null` means absent, except in `item`, `result` and `headers`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientEnvelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    invocation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    target: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    item: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    headers: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Decodes one record, given without its separator.
pub(super) fn decode(record: &Bytes) -> Result<ClientMessage, DecodeError> {
    let text = str::from_utf8(record).map_err(|error| DecodeError::NotUtf8 { byte: error.valid_up_to() })?;
    let envelope: ClientEnvelope<'_> = serde_json::from_str(text).map_err(not_json)?;
    let kind = required(envelope.kind, "type", "a whole number from 0 on")?;
    Ok(match kind {
        1 => ClientMessage::Invocation {
            id: envelope.optional_id()?,
            target: envelope.target()?,
            forwarded: match envelope.headers {
                Some(_) => without_headers(text)?.into(),
                None => record.clone(),
            },
        },
        2 => {
            envelope.item.ok_or(DecodeError::Missing("item"))?;
            ClientMessage::StreamItem { id: envelope.id()? }
        }
        3 => ClientMessage::Completion { id: envelope.id()?, outcome: envelope.outcome()? },
        4 => ClientMessage::StreamInvocation { id: envelope.id()?, target: envelope.target()? },
        5 => ClientMessage::CancelInvocation { id: envelope.id()? },
        6 => ClientMessage::Ping,
        7 => ClientMessage::Close { error: envelope.error()? },
        8 => ClientMessage::Ack(envelope.sequence_id()?),
        9 => ClientMessage::Sequence(envelope.sequence_id()?),
        other => ClientMessage::Other(other),
    })
}

impl ClientEnvelope<'_> {
    /// An empty id counts as none.
    fn optional_id(&self) -> Result<Option<String>, DecodeError> {
        let id: Option<String> = optional(self.invocation_id, ID, "a text")?;
        Ok(id.filter(|id| !id.is_empty()))
    }

    fn id(&self) -> Result<String, DecodeError> {
        self.optional_id()?.ok_or(DecodeError::Missing(ID))
    }

    /// The target of an invocation; its arguments must be an array.
    fn target(&self) -> Result<String, DecodeError> {
        let arguments = self.arguments.ok_or(DecodeError::Missing("arguments"))?;
        if !arguments.get().starts_with('[') {
            return Err(DecodeError::Wrong { property: "arguments", expected: "an array" });
        }
        let target: String = required(self.target, "target", "a text")?;
        if target.is_empty() { Err(DecodeError::Missing("target")) } else { Ok(target) }
    }

    fn outcome(&self) -> Result<Outcome, DecodeError> {
        match (self.result, self.error()?) {
            (None, None) => Ok(Outcome::Void),
            (Some(result), None) => Ok(Outcome::Result(result.to_owned())),
            (None, Some(error)) => Ok(Outcome::Error(error)),
            (Some(_), Some(_)) => {
                Err(DecodeError::Wrong { property: "error", expected: "absent where there is a `result`" })
            }
        }
    }

    fn error(&self) -> Result<Option<String>, DecodeError> {
        optional(self.error, "error", "a text")
    }

    fn sequence_id(&self) -> Result<u64, DecodeError> {
        required(self.sequence_id, "sequenceId", "a whole number from 0 on")
    }
}

fn optional<T: DeserializeOwned>(
    value: Option<&RawValue>,
    property: &'static str,
    expected: &'static str,
) -> Result<Option<T>, DecodeError> {
    let value = value.map(|value| serde_json::from_str(value.get())).transpose();
    value.map_err(|_| DecodeError::Wrong { property, expected })
}

fn required<T: DeserializeOwned>(
    value: Option<&RawValue>,
    property: &'static str,
    expected: &'static str,
) -> Result<T, DecodeError> {
    optional(value, property, expected)?.ok_or(DecodeError::Missing(property))
}

fn not_json(error: serde_json::Error) -> DecodeError {
    DecodeError::NotJson { line: error.line(), column: error.column() }
}

/// Removes `headers` from an object; the text of all other properties is unchanged.
fn without_headers(object: &str) -> Result<String, DecodeError> {
    serde_json::Deserializer::from_str(object).deserialize_map(HeaderRemover).map_err(not_json)
}

struct HeaderRemover;

impl<'de> Visitor<'de> for HeaderRemover {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut kept = String::from("{");
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            // The name may contain escapes.
            if serde_json::from_str::<String>(name.get()).is_ok_and(|name| name == "headers") {
                continue;
            }
            if kept.len() > 1 {
                kept.push(',');
            }
            kept.extend([name.get(), ":", value.get()]);
        }
        kept.push('}');
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> ClientMessage {
        match decode(&Bytes::copy_from_slice(text.as_bytes())) {
            Ok(message) => message,
            Err(error) => panic!("{text}: {error}"),
        }
    }

    fn error(text: &str) -> String {
        decode(&Bytes::copy_from_slice(text.as_bytes())).unwrap_err().to_string()
    }

    fn forwarded(text: &str) -> String {
        let ClientMessage::Invocation { forwarded, .. } = message(text) else { panic!("{text}") };
        String::from_utf8(forwarded.into()).unwrap()
    }

    fn completion(text: &str) -> Outcome {
        let ClientMessage::Completion { outcome, .. } = message(text) else { panic!("{text}") };
        outcome
    }

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[test]
    fn messages_are_read_in_any_order_of_properties() {
        let text = r#"{"target":"Bar","arguments":[1],"invocationId":"0","type":1}"#;
        let (id, target) = (Some("0".into()), "Bar".into());
        assert_eq!(message(text), ClientMessage::Invocation { id, target, forwarded: text.into() });
        let stream = ClientMessage::StreamInvocation { id: "1".into(), target: "Bar".into() };
        assert_eq!(message(r#"{"type":4,"invocationId":"1","target":"Bar","arguments":[]}"#), stream);
        let item = ClientMessage::StreamItem { id: "2".into() };
        assert_eq!(message(r#"{"item":null,"invocationId":"2","type":2}"#), item);
        assert_eq!(message(r#"{"type":5,"invocationId":"3"}"#), ClientMessage::CancelInvocation { id: "3".into() });
        assert_eq!(message(r#"{"type":6}"#), ClientMessage::Ping);
        assert_eq!(message(r#"{"type":7}"#), ClientMessage::Close { error: None });
        let close = ClientMessage::Close { error: Some("bye".into()) };
        assert_eq!(message(r#"{"type":7,"error":"bye","allowReconnect":true}"#), close);
        assert_eq!(message(r#"{"type":8,"sequenceId":5}"#), ClientMessage::Ack(5));
        assert_eq!(message(r#"{"sequenceId":1,"type":9}"#), ClientMessage::Sequence(1));
    }

    #[test]
    fn a_completion_is_void_or_has_a_result_or_an_error() {
        assert_eq!(completion(r#"{"type":3,"invocationId":"0"}"#), Outcome::Void);
        assert_eq!(completion(r#"{"type":3,"invocationId":"0","error":null}"#), Outcome::Void);
        let result = Outcome::Result(json(r#"{"a":1.0}"#));
        assert_eq!(completion(r#"{"type":3,"invocationId":"0","result": {"a":1.0} }"#), result);
        assert_eq!(completion(r#"{"type":3,"invocationId":"0","result":null}"#), Outcome::Result(json("null")));
        assert_eq!(completion(r#"{"type":3,"invocationId":"0","error":"no"}"#), Outcome::Error("no".into()));
        let both = error(r#"{"type":3,"invocationId":"0","error":"no","result":1}"#);
        assert_eq!(both, "`error` must be absent where there is a `result`");
    }

    #[test]
    fn case_34_unknown_types_are_reported_and_unknown_properties_ignored() {
        assert_eq!(message(r#"{"type":99,"target":{},"error":5,"x":null}"#), ClientMessage::Other(99));
        assert_eq!(message(r#"{"type":6,"new":[[{}]],"headers":{}}"#), ClientMessage::Ping);
    }

    #[test]
    fn an_empty_or_null_id_is_none() {
        for id in ["\"\"", "null"] {
            let text = format!(r#"{{"type":1,"invocationId":{id},"target":"x","arguments":[]}}"#);
            assert!(matches!(message(&text), ClientMessage::Invocation { id: None, .. }), "{text}");
            assert_eq!(error(&format!(r#"{{"type":5,"invocationId":{id}}}"#)), "`invocationId` is missing");
        }
    }

    #[test]
    fn an_upstream_gets_the_unchanged_message_without_headers() {
        let unchanged = r#"{"arguments":[1.0,"\u00e9"],"new":0,"target":"x","streamIds":["1"],"type":1}"#;
        for (text, expected) in [
            (unchanged, unchanged),
            (
                r#"{"type":1,"headers":{"Authorization":"Bearer x"},"target":"x","arguments":[ 1.0 ]}"#,
                r#"{"type":1,"target":"x","arguments":[ 1.0 ]}"#,
            ),
            (
                r#"{"h\u0065aders":null,"type":1,"t\u0061rget":"x","arguments":[]}"#,
                r#"{"type":1,"t\u0061rget":"x","arguments":[]}"#,
            ),
            (
                r#"{"type":1,"target":"x","arguments":[{"headers":1}],"headers":{}}"#,
                r#"{"type":1,"target":"x","arguments":[{"headers":1}]}"#,
            ),
        ] {
            assert_eq!(forwarded(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_reason() {
        for (text, column) in [
            ("", 0),
            ("{", 1),
            ("6", 1),
            (r#"{"type":x}"#, 9),
            (r#"{"type":1,"target":"a","target":"b","arguments":[]}"#, 31),
            (r#"{"type":1,"headers":{},"headers":{},"target":"b","arguments":[]}"#, 32),
            (r#"{"type":6} {}"#, 12),
        ] {
            let expected = format!("line 1, column {column}: a JSON object is needed, with no property twice");
            assert_eq!(error(text), expected, "{text}");
        }
        for (text, expected) in [
            ("{}", "`type` is missing"),
            (r#"{"type":"6"}"#, "`type` must be a whole number from 0 on"),
            (r#"{"type":-1}"#, "`type` must be a whole number from 0 on"),
            (r#"{"type":1,"arguments":[]}"#, "`target` is missing"),
            (r#"{"type":1,"target":"","arguments":[]}"#, "`target` is missing"),
            (r#"{"type":1,"target":1,"arguments":[]}"#, "`target` must be a text"),
            (r#"{"type":1,"target":"\ud800","arguments":[]}"#, "`target` must be a text"),
            (r#"{"type":1,"target":"x"}"#, "`arguments` is missing"),
            (r#"{"type":1,"target":"x","arguments":{}}"#, "`arguments` must be an array"),
            (r#"{"type":1,"invocationId":1,"target":"x","arguments":[]}"#, "`invocationId` must be a text"),
            (r#"{"type":2,"invocationId":"0"}"#, "`item` is missing"),
            (r#"{"type":3}"#, "`invocationId` is missing"),
            (r#"{"type":4,"target":"x","arguments":[]}"#, "`invocationId` is missing"),
            (r#"{"type":7,"error":{}}"#, "`error` must be a text"),
            (r#"{"type":8}"#, "`sequenceId` is missing"),
            (r#"{"type":9,"sequenceId":-1}"#, "`sequenceId` must be a whole number from 0 on"),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert_eq!(decode(&Bytes::from_static(b"{\"\xff")), Err(DecodeError::NotUtf8 { byte: 2 }));
    }

    #[test]
    fn half_a_million_levels_need_no_stack() {
        let deep = ["[".repeat(500_000), "]".repeat(500_000)].concat();
        for text in [
            format!(r#"{{"type":1,"target":"x","headers":{deep},"new":{deep},"arguments":{deep}}}"#),
            format!(r#"{{"type":3,"invocationId":"0","result":{deep}}}"#),
            format!(r#"{{"type":6,"new":{deep}}}"#),
        ] {
            message(&text);
        }
        assert!(error(&deep).starts_with("line 1"));
    }

    fn record(message: &ServerMessage<'_>) -> String {
        let text = encode(message);
        text.strip_suffix('\u{1e}').expect("a record ends in its separator").into()
    }

    #[test]
    fn records_hold_the_expected_properties_only() {
        let completion = |outcome| record(&ServerMessage::Completion { id: "0", outcome: &outcome });
        let invocation =
            |id, arguments| record(&ServerMessage::Invocation { id, target: "t", arguments: &json(arguments) });
        let close = |error, allow_reconnect| record(&ServerMessage::Close { error, allow_reconnect });
        let item = record(&ServerMessage::StreamItem { id: "0", item: &json("null") });
        for (record, expected) in [
            (invocation(None, "[]"), r#"{"type":1,"target":"t","arguments":[]}"#),
            (invocation(Some("9"), "[1]"), r#"{"type":1,"invocationId":"9","target":"t","arguments":[1]}"#),
            (item, r#"{"type":2,"invocationId":"0","item":null}"#),
            (completion(Outcome::Void), r#"{"type":3,"invocationId":"0"}"#),
            (completion(Outcome::Result(json("1"))), r#"{"type":3,"invocationId":"0","result":1}"#),
            (completion(Outcome::Error("no".into())), r#"{"type":3,"invocationId":"0","error":"no"}"#),
            (record(&ServerMessage::Ping), r#"{"type":6}"#),
            (close(None, false), r#"{"type":7}"#),
            (close(Some("bye"), true), r#"{"type":7,"error":"bye","allowReconnect":true}"#),
            (record(&ServerMessage::Ack(5)), r#"{"type":8,"sequenceId":5}"#),
            (record(&ServerMessage::Sequence(1)), r#"{"type":9,"sequenceId":1}"#),
        ] {
            assert_eq!(record, expected);
        }
    }

    #[test]
    fn arguments_reach_a_client_byte_for_byte() {
        let arguments = json(r#"[ 1.0, 12345678901234567890123, "2020-01-01T00:00:00Z", "\u00e9", {"b":1,"a":2} ]"#);
        let record = record(&ServerMessage::Invocation { id: None, target: "t", arguments: &arguments });
        assert_eq!(record, [r#"{"type":1,"target":"t","arguments":"#, arguments.get(), "}"].concat());
    }

    proptest! {
        #[test]
        fn a_record_has_one_separator_at_its_end(target in any::<String>(), error in any::<String>()) {
            let outcome = Outcome::Error(error);
            for message in [
                ServerMessage::Completion { id: &target, outcome: &outcome },
                ServerMessage::Invocation { id: None, target: &target, arguments: &json("[]") },
            ] {
                let frame = encode(&message);
                prop_assert_eq!(frame.find('\u{1e}'), Some(frame.len() - 1));
            }
        }
    }
}
