//! What the service says, as JSON.
//!
//! Nothing is ever `null`, and nothing is there that a message does not need: some clients fail on properties they do
//! not expect.

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::protocol::{Outcome, ServerMessage};

/// The properties of all messages, of which each has some.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
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

/// One record with its separator.
pub(in crate::protocol) fn encode(message: &ServerMessage<'_>) -> Utf8Bytes {
    if let ServerMessage::Ping = message {
        return Utf8Bytes::from_static("{\"type\":6}\u{1e}");
    }
    let mut record = serde_json::to_string(&properties(message)).expect(
        "messages are structs of texts, numbers and JSON that was parsed before, which always serialise",
    );
    record.push('\u{1e}');
    record.into()
}

fn properties<'a>(message: &ServerMessage<'a>) -> Properties<'a> {
    let none = Properties::default();
    match *message {
        ServerMessage::Invocation { id, target, arguments } => Properties {
            r#type: 1,
            invocation_id: id,
            target: Some(target),
            arguments: Some(arguments),
            ..none
        },
        ServerMessage::StreamItem { id, item } => {
            Properties { r#type: 2, invocation_id: Some(id), item: Some(item), ..none }
        }
        ServerMessage::Completion { id, outcome } => {
            let (result, error) = match outcome {
                Outcome::Void => (None, None),
                Outcome::Result(result) => (Some(&**result), None),
                Outcome::Error(error) => (None, Some(error.as_str())),
            };
            Properties { r#type: 3, invocation_id: Some(id), result, error, ..none }
        }
        ServerMessage::Ping => Properties { r#type: 6, ..none },
        ServerMessage::Close { error, allow_reconnect } => {
            Properties { r#type: 7, error, allow_reconnect, ..none }
        }
        ServerMessage::Ack(number) => Properties { r#type: 8, sequence_id: Some(number), ..none },
        ServerMessage::Sequence(number) => Properties { r#type: 9, sequence_id: Some(number), ..none },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(message: &ServerMessage<'_>) -> String {
        let text = encode(message).to_string();
        text.strip_suffix('\u{1e}').expect("a record ends in its separator").into()
    }

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[test]
    fn records_hold_what_clients_expect_and_nothing_else() {
        let completion = |outcome| record(&ServerMessage::Completion { id: "0", outcome: &outcome });
        for (record, expected) in [
            (
                record(&ServerMessage::Invocation { id: None, target: "t", arguments: &json("[]") }),
                r#"{"type":1,"target":"t","arguments":[]}"#,
            ),
            (
                record(&ServerMessage::Invocation { id: Some("9"), target: "t", arguments: &json("[1]") }),
                r#"{"type":1,"invocationId":"9","target":"t","arguments":[1]}"#,
            ),
            (
                record(&ServerMessage::StreamItem { id: "0", item: &json("null") }),
                r#"{"type":2,"invocationId":"0","item":null}"#,
            ),
            (completion(Outcome::Void), r#"{"type":3,"invocationId":"0"}"#),
            (completion(Outcome::Result(json("1"))), r#"{"type":3,"invocationId":"0","result":1}"#),
            (completion(Outcome::Error("no".into())), r#"{"type":3,"invocationId":"0","error":"no"}"#),
            (record(&ServerMessage::Ping), r#"{"type":6}"#),
            (record(&ServerMessage::Close { error: None, allow_reconnect: false }), r#"{"type":7}"#),
            (
                record(&ServerMessage::Close { error: Some("bye"), allow_reconnect: true }),
                r#"{"type":7,"error":"bye","allowReconnect":true}"#,
            ),
            (record(&ServerMessage::Ack(5)), r#"{"type":8,"sequenceId":5}"#),
            (record(&ServerMessage::Sequence(1)), r#"{"type":9,"sequenceId":1}"#),
        ] {
            assert_eq!(record, expected);
        }
    }

    #[test]
    fn arguments_reach_a_client_byte_for_byte() {
        let arguments =
            json(r#"[ 1.0, 12345678901234567890123, "2020-01-01T00:00:00Z", "\u00e9", {"b":1,"a":2} ]"#);
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
