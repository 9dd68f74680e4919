//! What a client said, from JSON.
//!
//! Values are looked at only where the type of the message needs them, so that a type nobody knows may have any. Nesting
//! costs no stack: nothing is parsed that is only passed on.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::protocol::malformed::Fault;
use crate::protocol::{ClientMessage, Outcome};

const ID: &str = "invocationId";

/// Every property that is read of any message. `null` is as good as absent, unless it is a value of the client's own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    invocation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    target: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    item: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    headers: Option<&'a RawValue>,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one record, given without its separator.
pub(in crate::protocol) fn read(record: &Bytes) -> Result<ClientMessage, Fault> {
    let text = str::from_utf8(record).map_err(|error| Fault::NotUtf8 { byte: error.valid_up_to() })?;
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(not_json)?;
    let kind = required(envelope.kind, "type", "a whole number from 0 on")?;
    Ok(match kind {
        1 => ClientMessage::Invocation {
            id: envelope.optional_id()?,
            target: envelope.call()?,
            forwarded: match envelope.headers {
                Some(_) => without_headers(text)?.into(),
                None => record.clone(),
            },
        },
        2 => {
            envelope.item.ok_or(Fault::Missing("item"))?;
            ClientMessage::StreamItem { id: envelope.id()? }
        }
        3 => ClientMessage::Completion { id: envelope.id()?, outcome: envelope.outcome()? },
        4 => ClientMessage::StreamInvocation { id: envelope.id()?, target: envelope.call()? },
        5 => ClientMessage::CancelInvocation { id: envelope.id()? },
        6 => ClientMessage::Ping,
        7 => ClientMessage::Close { error: envelope.error()? },
        8 => ClientMessage::Ack(envelope.sequence_id()?),
        9 => ClientMessage::Sequence(envelope.sequence_id()?),
        other => ClientMessage::Other(other),
    })
}

impl Envelope<'_> {
    /// An empty id is none: there is no way to answer to it.
    fn optional_id(&self) -> Result<Option<String>, Fault> {
        let id: Option<String> = optional(self.invocation_id, ID, "a text")?;
        Ok(id.filter(|id| !id.is_empty()))
    }

    fn id(&self) -> Result<String, Fault> {
        self.optional_id()?.ok_or(Fault::Missing(ID))
    }

    /// The target of a call, which must have arguments too.
    fn call(&self) -> Result<String, Fault> {
        let arguments = self.arguments.ok_or(Fault::Missing("arguments"))?;
        if !arguments.get().starts_with('[') {
            return Err(Fault::Wrong { property: "arguments", expected: "an array" });
        }
        let target: String = required(self.target, "target", "a text")?;
        if target.is_empty() { Err(Fault::Missing("target")) } else { Ok(target) }
    }

    fn outcome(&self) -> Result<Outcome, Fault> {
        match (self.result, self.error()?) {
            (None, None) => Ok(Outcome::Void),
            (Some(result), None) => Ok(Outcome::Result(result.to_owned())),
            (None, Some(error)) => Ok(Outcome::Error(error)),
            (Some(_), Some(_)) => {
                Err(Fault::Wrong { property: "error", expected: "absent where there is a `result`" })
            }
        }
    }

    fn error(&self) -> Result<Option<String>, Fault> {
        optional(self.error, "error", "a text")
    }

    fn sequence_id(&self) -> Result<u64, Fault> {
        required(self.sequence_id, "sequenceId", "a whole number from 0 on")
    }
}

fn optional<T: DeserializeOwned>(
    value: Option<&RawValue>,
    property: &'static str,
    expected: &'static str,
) -> Result<Option<T>, Fault> {
    let value = value.map(|value| serde_json::from_str(value.get())).transpose();
    value.map_err(|_| Fault::Wrong { property, expected })
}

fn required<T: DeserializeOwned>(
    value: Option<&RawValue>,
    property: &'static str,
    expected: &'static str,
) -> Result<T, Fault> {
    optional(value, property, expected)?.ok_or(Fault::Missing(property))
}

fn not_json(error: serde_json::Error) -> Fault {
    Fault::NotJson { line: error.line(), column: error.column() }
}

/// The same object without its `headers`; all that stays, stays as it was written.
fn without_headers(object: &str) -> Result<String, Fault> {
    let WithoutHeaders(kept) = serde_json::from_str(object).map_err(not_json)?;
    Ok(kept)
}

struct WithoutHeaders(String);

impl<'de> Deserialize<'de> for WithoutHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeepOthers)
    }
}

struct KeepOthers;

impl<'de> Visitor<'de> for KeepOthers {
    type Value = WithoutHeaders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WithoutHeaders, A::Error> {
        let mut kept = String::from("{");
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            // A name may be spelled with escapes.
            if serde_json::from_str::<String>(name.get()).is_ok_and(|name| name == "headers") {
                continue;
            }
            if kept.len() > 1 {
                kept.push(',');
            }
            kept.extend([name.get(), ":", value.get()]);
        }
        kept.push('}');
        Ok(WithoutHeaders(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> ClientMessage {
        match read(&Bytes::copy_from_slice(text.as_bytes())) {
            Ok(message) => message,
            Err(fault) => panic!("{text}: {fault}"),
        }
    }

    fn fault(text: &str) -> String {
        read(&Bytes::copy_from_slice(text.as_bytes())).unwrap_err().to_string()
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
        assert_eq!(
            message(text),
            ClientMessage::Invocation { id: Some("0".into()), target: "Bar".into(), forwarded: text.into() }
        );
        assert_eq!(
            message(r#"{"type":4,"invocationId":"1","target":"Bar","arguments":[]}"#),
            ClientMessage::StreamInvocation { id: "1".into(), target: "Bar".into() }
        );
        assert_eq!(
            message(r#"{"item":null,"invocationId":"2","type":2}"#),
            ClientMessage::StreamItem { id: "2".into() }
        );
        assert_eq!(
            message(r#"{"type":5,"invocationId":"3"}"#),
            ClientMessage::CancelInvocation { id: "3".into() }
        );
        assert_eq!(message(r#"{"type":6}"#), ClientMessage::Ping);
        assert_eq!(message(r#"{"type":7}"#), ClientMessage::Close { error: None });
        assert_eq!(
            message(r#"{"type":7,"error":"bye","allowReconnect":true}"#),
            ClientMessage::Close { error: Some("bye".into()) }
        );
        assert_eq!(message(r#"{"type":8,"sequenceId":5}"#), ClientMessage::Ack(5));
        assert_eq!(message(r#"{"sequenceId":1,"type":9}"#), ClientMessage::Sequence(1));
    }

    #[test]
    fn a_completion_is_void_or_has_a_result_or_an_error() {
        assert_eq!(completion(r#"{"type":3,"invocationId":"0"}"#), Outcome::Void);
        assert_eq!(completion(r#"{"type":3,"invocationId":"0","error":null}"#), Outcome::Void);
        assert_eq!(
            completion(r#"{"type":3,"invocationId":"0","result": {"a":1.0} }"#),
            Outcome::Result(json(r#"{"a":1.0}"#))
        );
        assert_eq!(
            completion(r#"{"type":3,"invocationId":"0","result":null}"#),
            Outcome::Result(json("null"))
        );
        assert_eq!(completion(r#"{"type":3,"invocationId":"0","error":"no"}"#), Outcome::Error("no".into()));
        assert_eq!(
            fault(r#"{"type":3,"invocationId":"0","error":"no","result":1}"#),
            "`error` must be absent where there is a `result`"
        );
    }

    #[test]
    fn case_34_unknown_types_are_named_and_unknown_properties_ignored_whatever_they_hold() {
        assert_eq!(message(r#"{"type":99,"target":{},"error":5,"x":null}"#), ClientMessage::Other(99));
        assert_eq!(message(r#"{"type":6,"new":[[{}]],"headers":{}}"#), ClientMessage::Ping);
    }

    #[test]
    fn an_id_that_is_empty_or_null_is_none() {
        for id in ["\"\"", "null"] {
            let text = format!(r#"{{"type":1,"invocationId":{id},"target":"x","arguments":[]}}"#);
            assert!(matches!(message(&text), ClientMessage::Invocation { id: None, .. }), "{text}");
            assert_eq!(fault(&format!(r#"{{"type":5,"invocationId":{id}}}"#)), "`invocationId` is missing");
        }
    }

    #[test]
    fn an_upstream_gets_the_message_as_it_came_but_for_the_headers() {
        for (text, expected) in [
            (
                r#"{"arguments":[1.0,"\u00e9"],"new":0,"target":"x","streamIds":["1"],"type":1}"#,
                r#"{"arguments":[1.0,"\u00e9"],"new":0,"target":"x","streamIds":["1"],"type":1}"#,
            ),
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
    fn what_is_no_message_says_why() {
        for (text, expected) in [
            ("", "line 1, column 0: a JSON object is needed, with no property twice"),
            ("{", "line 1, column 1: a JSON object is needed, with no property twice"),
            ("6", "line 1, column 1: a JSON object is needed, with no property twice"),
            (r#"{"type":x}"#, "line 1, column 9: a JSON object is needed, with no property twice"),
            (
                r#"{"type":1,"target":"a","target":"b","arguments":[]}"#,
                "line 1, column 31: a JSON object is needed, with no property twice",
            ),
            (
                r#"{"type":1,"headers":{},"headers":{},"target":"b","arguments":[]}"#,
                "line 1, column 32: a JSON object is needed, with no property twice",
            ),
            (r#"{"type":6} {}"#, "line 1, column 12: a JSON object is needed, with no property twice"),
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
            assert_eq!(fault(text), expected, "{text}");
        }
        assert_eq!(read(&Bytes::from_static(b"{\"\xff")), Err(Fault::NotUtf8 { byte: 2 }));
    }

    #[test]
    fn half_a_million_levels_cost_no_stack() {
        let deep = ["[".repeat(500_000), "]".repeat(500_000)].concat();
        for text in [
            format!(r#"{{"type":1,"target":"x","headers":{deep},"new":{deep},"arguments":{deep}}}"#),
            format!(r#"{{"type":3,"invocationId":"0","result":{deep}}}"#),
            format!(r#"{{"type":6,"new":{deep}}}"#),
        ] {
            message(&text);
        }
        assert!(fault(&deep).starts_with("line 1"));
    }
}
