//! The MessagePack hub protocol: a message is an array, preceded by its length.

mod decode;
mod from_json;
mod primitives;
mod to_json;

use bytes::Bytes;

use super::hub_message::{Outcome, ServerMessage};
use primitives::Writer;

pub(super) use decode::decode;
pub(super) use primitives::{Reader, Value, length_prefix};

/// Space for markers, the type and the headers of a message.
const OVERHEAD_BYTES: usize = 32;

/// Encodes one message with its length prefix.
///
/// An invocation always has six elements: some clients read the sixth without checking the length of the array.
pub(in crate::protocol) fn encode(message: &ServerMessage<'_>) -> Bytes {
    if let ServerMessage::Ping = message {
        return Bytes::from_static(&[0x02, 0x91, 0x06]);
    }
    let mut writer = Writer::new(OVERHEAD_BYTES + payload_len(message));
    write(message, &mut writer);
    writer.into_frame()
}

/// The length of the payload as JSON in bytes. MessagePack is rarely longer.
fn payload_len(message: &ServerMessage<'_>) -> usize {
    match message {
        ServerMessage::Invocation { target, arguments, .. } => target.len() + arguments.get().len(),
        ServerMessage::StreamItem { item, .. } => item.get().len(),
        ServerMessage::Completion { outcome: Outcome::Result(result), .. } => result.get().len(),
        ServerMessage::Completion { outcome: Outcome::Error(error), .. } => error.len(),
        ServerMessage::Close { error: Some(error), .. } => error.len(),
        _ => 0,
    }
}

fn write(message: &ServerMessage<'_>, writer: &mut Writer) {
    match *message {
        ServerMessage::Invocation { id, target, arguments } => {
            begin(6, 1, writer);
            writer.map(0);
            optional_text(id, writer);
            writer.text(target);
            from_json::write(arguments, writer);
            writer.array(0);
        }
        ServerMessage::StreamItem { id, item } => {
            begin(4, 2, writer);
            writer.map(0);
            writer.text(id);
            from_json::write(item, writer);
        }
        ServerMessage::Completion { id, outcome } => {
            begin(if *outcome == Outcome::Void { 4 } else { 5 }, 3, writer);
            writer.map(0);
            writer.text(id);
            write_outcome(outcome, writer);
        }
        ServerMessage::Ping => begin(1, 6, writer),
        ServerMessage::Close { error, allow_reconnect } => {
            begin(if allow_reconnect { 3 } else { 2 }, 7, writer);
            optional_text(error, writer);
            if allow_reconnect {
                writer.bool(true);
            }
        }
        ServerMessage::Ack(number) => {
            begin(2, 8, writer);
            writer.unsigned(number);
        }
        ServerMessage::Sequence(number) => {
            begin(2, 9, writer);
            writer.unsigned(number);
        }
    }
}

fn begin(elements: usize, kind: u8, writer: &mut Writer) {
    writer.array(elements);
    writer.unsigned(kind.into());
}

fn optional_text(text: Option<&str>, writer: &mut Writer) {
    match text {
        Some(text) => writer.text(text),
        None => writer.nil(),
    }
}

fn write_outcome(outcome: &Outcome, writer: &mut Writer) {
    match outcome {
        Outcome::Error(error) => {
            writer.unsigned(1);
            writer.text(error);
        }
        Outcome::Void => writer.unsigned(2),
        Outcome::Result(result) => {
            writer.unsigned(3);
            from_json::write(result, writer);
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
    fn frames_are_encoded_as_the_specification_shows() {
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
    fn a_message_of_more_than_127_bytes_has_a_prefix_of_two_bytes() {
        let arguments = json(&format!("[\"{}\"]", "x".repeat(200)));
        let frame = encode(&ServerMessage::Invocation { id: None, target: "hi", arguments: &arguments });
        assert_eq!(frame[..3], [0xd3, 0x01, 0x96]);
        assert_eq!(frame.len(), 2 + 211);
    }
}
