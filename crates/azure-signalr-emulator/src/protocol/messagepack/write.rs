//! What the service says, as MessagePack.
//!
//! Invocations always have all six elements, even though the last two may be empty: there are clients that take the
//! sixth without asking whether it is there.

use bytes::Bytes;

use super::from_json;
use super::writer::Writer;
use crate::protocol::{Outcome, ServerMessage};

/// What a message has besides texts and values: markers, a type, headers.
const OVERHEAD: usize = 32;

/// One message with its length prefix.
pub(in crate::protocol) fn encode(message: &ServerMessage<'_>) -> Bytes {
    if let ServerMessage::Ping = message {
        return Bytes::from_static(&[0x02, 0x91, 0x06]);
    }
    let mut to = Writer::new(OVERHEAD + contents(message));
    write(message, &mut to);
    to.into_frame()
}

/// Bytes of what the message carries, before it is turned into MessagePack, which mostly is no longer.
fn contents(message: &ServerMessage<'_>) -> usize {
    match message {
        ServerMessage::Invocation { target, arguments, .. } => target.len() + arguments.get().len(),
        ServerMessage::StreamItem { item, .. } => item.get().len(),
        ServerMessage::Completion { outcome: Outcome::Result(result), .. } => result.get().len(),
        ServerMessage::Completion { outcome: Outcome::Error(error), .. } => error.len(),
        ServerMessage::Close { error: Some(error), .. } => error.len(),
        _ => 0,
    }
}

fn write(message: &ServerMessage<'_>, to: &mut Writer) {
    match *message {
        ServerMessage::Invocation { id, target, arguments } => {
            begin(6, 1, to);
            to.map(0);
            optional_text(id, to);
            to.text(target);
            from_json::write(arguments, to);
            to.array(0);
        }
        ServerMessage::StreamItem { id, item } => {
            begin(4, 2, to);
            to.map(0);
            to.text(id);
            from_json::write(item, to);
        }
        ServerMessage::Completion { id, outcome } => {
            begin(if *outcome == Outcome::Void { 4 } else { 5 }, 3, to);
            to.map(0);
            to.text(id);
            write_outcome(outcome, to);
        }
        ServerMessage::Ping => begin(1, 6, to),
        ServerMessage::Close { error, allow_reconnect } => {
            begin(if allow_reconnect { 3 } else { 2 }, 7, to);
            optional_text(error, to);
            if allow_reconnect {
                to.bool(true);
            }
        }
        ServerMessage::Ack(number) => {
            begin(2, 8, to);
            to.unsigned(number);
        }
        ServerMessage::Sequence(number) => {
            begin(2, 9, to);
            to.unsigned(number);
        }
    }
}

fn begin(elements: usize, kind: u8, to: &mut Writer) {
    to.array(elements);
    to.unsigned(kind.into());
}

fn optional_text(text: Option<&str>, to: &mut Writer) {
    match text {
        Some(text) => to.text(text),
        None => to.nil(),
    }
}

fn write_outcome(outcome: &Outcome, to: &mut Writer) {
    match outcome {
        Outcome::Error(error) => {
            to.unsigned(1);
            to.text(error);
        }
        Outcome::Void => to.unsigned(2),
        Outcome::Result(result) => {
            to.unsigned(3);
            from_json::write(result, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    fn hex(message: &ServerMessage<'_>) -> String {
        encode(message).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn frames_are_those_every_client_reads() {
        let completion = |outcome| hex(&ServerMessage::Completion { id: "1", outcome: &outcome });
        for (hex, expected) in [
            (hex(&ServerMessage::Ping), "02 91 06"),
            (
                hex(&ServerMessage::Invocation { id: None, target: "hi", arguments: &json(r#"["x"]"#) }),
                "0b 96 01 80 c0 a2 68 69 91 a1 78 90",
            ),
            (
                hex(&ServerMessage::Invocation { id: Some("1"), target: "hi", arguments: &json("[]") }),
                "0a 96 01 80 a1 31 a2 68 69 90 90",
            ),
            (hex(&ServerMessage::StreamItem { id: "1", item: &json("42") }), "06 94 02 80 a1 31 2a"),
            (completion(Outcome::Void), "06 94 03 80 a1 31 02"),
            (completion(Outcome::Result(json("42"))), "07 95 03 80 a1 31 03 2a"),
            (completion(Outcome::Error("no".into())), "09 95 03 80 a1 31 01 a2 6e 6f"),
            (hex(&ServerMessage::Close { error: None, allow_reconnect: false }), "03 92 07 c0"),
            (
                hex(&ServerMessage::Close { error: Some("bye"), allow_reconnect: true }),
                "07 93 07 a3 62 79 65 c3",
            ),
            (hex(&ServerMessage::Close { error: None, allow_reconnect: true }), "04 93 07 c0 c3"),
            (hex(&ServerMessage::Ack(5)), "03 92 08 05"),
            (hex(&ServerMessage::Sequence(1)), "03 92 09 01"),
        ] {
            assert_eq!(hex, expected);
        }
    }

    #[test]
    fn a_message_of_more_than_127_bytes_has_a_prefix_of_two() {
        let arguments = json(&format!("[\"{}\"]", "x".repeat(200)));
        let frame = encode(&ServerMessage::Invocation { id: None, target: "hi", arguments: &arguments });
        assert_eq!(frame[..3], [0xd3, 0x01, 0x96]);
        assert_eq!(frame.len(), 2 + 211);
    }
}
