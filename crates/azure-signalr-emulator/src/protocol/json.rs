//! The JSON hub protocol.
//!
//! Arguments are never taken apart: what a REST caller wrote is what the client reads, so no number loses digits and
//! no date changes its spelling. Headers of client messages are never read: some clients put their access token there.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a client said. Arguments, headers and unknown properties are skipped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ClientMessage {
    /// A call of a hub method. With an id the client waits for a completion.
    Invocation {
        id: Option<String>,
        target: String,
    },
    /// A call whose results are to be streamed; it waits for a completion in any case.
    StreamInvocation {
        id: String,
        target: String,
    },
    Ping,
    Close,
    /// A type the service has no use for, or does not know.
    Other(u64),
}

/// A record that is no hub message. Says where, never what: the words of a client belong in no log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// No JSON object with a numeric `type`, up to this byte.
    NoMessage { column: usize },
    /// A property that this type of message must have.
    Missing(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a message of the JSON hub protocol: ")?;
        match self {
            Self::NoMessage { column } => write!(f, "bad from byte {column} on"),
            Self::Missing(property) => write!(f, "`{property}` is missing"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(rename = "type")]
    kind: u64,
    invocation_id: Option<String>,
    target: Option<String>,
}

/// Reads one record, given without its separator.
pub(crate) fn read(record: &[u8]) -> Result<ClientMessage, Malformed> {
    let Envelope { kind, invocation_id: id, target } =
        serde_json::from_slice(record).map_err(|error| Malformed::NoMessage { column: error.column() })?;
    let target = target.ok_or(Malformed::Missing("target"));
    Ok(match kind {
        1 => ClientMessage::Invocation { id, target: target? },
        4 => {
            let id = id.ok_or(Malformed::Missing("invocationId"))?;
            ClientMessage::StreamInvocation { id, target: target? }
        }
        6 => ClientMessage::Ping,
        7 => ClientMessage::Close,
        other => ClientMessage::Other(other),
    })
}

/// What the service says. Nothing is ever `null`: some clients fail on properties they do not expect.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ServerMessage<'a> {
    #[serde(rename_all = "camelCase")]
    Invocation {
        r#type: u8,
        target: &'a str,
        arguments: &'a RawValue,
    },
    #[serde(rename_all = "camelCase")]
    Completion {
        r#type: u8,
        invocation_id: &'a str,
        error: &'a str,
    },
    Ping {
        r#type: u8,
    },
    #[serde(rename_all = "camelCase")]
    Close {
        r#type: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        allow_reconnect: bool,
    },
}

/// Calls `target` at the client; `arguments` is a JSON array.
pub(crate) fn invocation(target: &str, arguments: &RawValue) -> String {
    record(&ServerMessage::Invocation { r#type: 1, target, arguments })
}

/// Answers a call of the client with an error.
pub(crate) fn failed_completion(invocation_id: &str, error: &str) -> String {
    record(&ServerMessage::Completion { r#type: 3, invocation_id, error })
}

/// Says that the service is still there.
pub(crate) fn ping() -> String {
    record(&ServerMessage::Ping { r#type: 6 })
}

/// Announces the end of the connection.
pub(crate) fn close(error: Option<&str>, allow_reconnect: bool) -> String {
    record(&ServerMessage::Close { r#type: 7, error, allow_reconnect })
}

/// One record with its separator.
pub(super) fn record(message: &impl Serialize) -> String {
    let mut record = serde_json::to_string(message).expect(
        "messages are structs of texts, numbers and JSON that was parsed before, which always serialise",
    );
    record.push('\u{1e}');
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_read_in_any_order_of_properties() {
        let read = |text: &str| read(text.as_bytes()).unwrap();
        assert_eq!(
            read(r#"{"target":"Bar","arguments":[1],"invocationId":"0","headers":{"a":"b"},"type":1}"#),
            ClientMessage::Invocation { id: Some("0".into()), target: "Bar".into() }
        );
        assert_eq!(
            read(r#"{"type":1,"target":"Bar","arguments":[]}"#),
            ClientMessage::Invocation { id: None, target: "Bar".into() }
        );
        assert_eq!(
            read(r#"{"type":4,"invocationId":"1","target":"Bar","arguments":[]}"#),
            ClientMessage::StreamInvocation { id: "1".into(), target: "Bar".into() }
        );
        assert_eq!(read(r#"{"type":6}"#), ClientMessage::Ping);
        assert_eq!(read(r#"{"type":7,"error":"bye"}"#), ClientMessage::Close);
        assert_eq!(read(r#"{"type":99,"x":null}"#), ClientMessage::Other(99));
    }

    #[test]
    fn what_is_no_message_says_why() {
        for text in
            ["", "{}", "[]", "6", r#"{"type":"6"}"#, r#"{"type":-1}"#, r#"{"type":1}"#, r#"{"type":6"#]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read(br#"{"type":4,"target":"x"}"#), Err(Malformed::Missing("invocationId")));
        assert_eq!(read(br#"{"type":x}"#), Err(Malformed::NoMessage { column: 9 }));
    }

    #[test]
    fn frames_hold_what_clients_expect_and_nothing_else() {
        let arguments =
            RawValue::from_string(r#"[1.0,"2020-01-01T00:00:00Z",12345678901234567890]"#.into()).unwrap();
        assert_eq!(
            invocation("t", &arguments),
            "{\"type\":1,\"target\":\"t\",\"arguments\":[1.0,\"2020-01-01T00:00:00Z\",12345678901234567890]}\u{1e}"
        );
        assert_eq!(
            failed_completion("0", "no"),
            "{\"type\":3,\"invocationId\":\"0\",\"error\":\"no\"}\u{1e}"
        );
        assert_eq!(ping(), "{\"type\":6}\u{1e}");
        assert_eq!(close(None, false), "{\"type\":7}\u{1e}");
        assert_eq!(close(Some("bye"), true), "{\"type\":7,\"error\":\"bye\",\"allowReconnect\":true}\u{1e}");
    }

    proptest! {
        #[test]
        fn no_record_makes_reading_fail_otherwise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_frame_has_one_separator_at_its_end(target in ".*", error in ".*") {
            let frame = failed_completion(&target, &error);
            prop_assert_eq!(frame.find('\u{1e}'), Some(frame.len() - 1));
        }
    }
}
