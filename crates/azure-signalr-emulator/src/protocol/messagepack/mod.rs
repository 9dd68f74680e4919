//! The MessagePack hub protocol: encodes and decodes messages, which are arrays, preceded by their length.
//!
//! Unneeded and additional elements of a message are skipped, but must be valid MessagePack, since an upstream receives them.

mod from_json;
mod primitives;
mod to_json;

use std::ops::Range;

use bytes::Bytes;

use super::hub_message::{ClientMessage, DecodeError, Outcome, ServerMessage};
use primitives::Writer;
use to_json::to_json;

pub(super) use primitives::{Reader, Value, length_prefix};

/// Space for markers, the type and the headers of a message.
const OVERHEAD_BYTES: usize = 32;

/// Encodes one message with its length prefix.
///
/// An invocation always has six elements: some clients read the sixth without checking the length of the array.
pub(super) fn encode(message: &ServerMessage<'_>) -> Bytes {
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

const ID: &str = "invocationId";

/// An empty map.
const NO_HEADERS: &[u8] = &[0x80];

/// Decodes one message, given without its length prefix.
pub(super) fn decode(message: &Bytes) -> Result<ClientMessage, DecodeError> {
    let mut fields = Fields::of(message)?;
    Ok(match fields.natural("type")? {
        1 => {
            let headers = fields.headers()?;
            let (id, target) = (fields.optional_id()?, fields.target()?);
            ClientMessage::Invocation { id, target, forwarded: without_headers(headers, message) }
        }
        2 => {
            let id = fields.id_after_headers()?;
            fields.next("item")?;
            ClientMessage::StreamItem { id }
        }
        3 => {
            let id = fields.id_after_headers()?;
            ClientMessage::Completion { id, outcome: fields.outcome()? }
        }
        4 => {
            let id = fields.id_after_headers()?;
            ClientMessage::StreamInvocation { id, target: fields.target()? }
        }
        5 => ClientMessage::CancelInvocation { id: fields.id_after_headers()? },
        6 => ClientMessage::Ping,
        7 => ClientMessage::Close { error: fields.optional_text("error")? },
        8 => ClientMessage::Ack(fields.natural("sequenceId")?),
        9 => ClientMessage::Sequence(fields.natural("sequenceId")?),
        other => ClientMessage::Other(other),
    })
}

/// Replaces the headers of a message by an empty map.
fn without_headers(headers: Range<usize>, message: &Bytes) -> Bytes {
    if &message[headers.clone()] == NO_HEADERS {
        return message.clone();
    }
    [&message[..headers.start], NO_HEADERS, &message[headers.end..]].concat().into()
}

/// The elements of a message, in their order.
struct Fields<'a> {
    message: &'a [u8],
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        reader.skip()?;
        if reader.remaining() > 0 {
            return Err(DecodeError::Trailing);
        }
        let mut reader = Reader::new(message);
        match reader.value()? {
            Value::Array(left) => Ok(Self { message, reader, left }),
            _ => Err(DecodeError::NotAnArray),
        }
    }

    /// The bytes of the next element.
    fn next(&mut self, property: &'static str) -> Result<&'a [u8], DecodeError> {
        self.left = self.left.checked_sub(1).ok_or(DecodeError::Missing(property))?;
        self.reader.skip()
    }

    /// The next element; of an array or map only the header.
    fn value(&mut self, property: &'static str) -> Result<Value<'a>, DecodeError> {
        Reader::new(self.next(property)?).value()
    }

    fn natural(&mut self, property: &'static str) -> Result<u64, DecodeError> {
        match self.value(property)? {
            Value::Unsigned(number) => Ok(number),
            _ => Err(DecodeError::Wrong { property, expected: "a whole number from 0 on" }),
        }
    }

    fn optional_text(&mut self, property: &'static str) -> Result<Option<String>, DecodeError> {
        let text = match self.value(property)? {
            Value::Nil => return Ok(None),
            Value::Text(text) => str::from_utf8(text).ok(),
            _ => None,
        };
        text.map(|text| Some(text.to_owned())).ok_or(DecodeError::Wrong { property, expected: "a text" })
    }

    fn text(&mut self, property: &'static str) -> Result<String, DecodeError> {
        self.optional_text(property)?.ok_or(DecodeError::Missing(property))
    }

    /// The position of the headers in the message.
    fn headers(&mut self) -> Result<Range<usize>, DecodeError> {
        let headers = self.next("headers")?;
        let end = self.message.len() - self.reader.remaining();
        match Reader::new(headers).value()? {
            Value::Map(_) | Value::Nil => Ok(end - headers.len()..end),
            _ => Err(DecodeError::Wrong { property: "headers", expected: "a map" }),
        }
    }

    /// An empty id counts as none.
    fn optional_id(&mut self) -> Result<Option<String>, DecodeError> {
        Ok(self.optional_text(ID)?.filter(|id| !id.is_empty()))
    }

    fn id_after_headers(&mut self) -> Result<String, DecodeError> {
        self.headers()?;
        self.optional_id()?.ok_or(DecodeError::Missing(ID))
    }

    /// The target of an invocation; its arguments must be an array.
    fn target(&mut self) -> Result<String, DecodeError> {
        let target = self.text("target")?;
        if target.is_empty() {
            return Err(DecodeError::Missing("target"));
        }
        match self.value("arguments")? {
            Value::Array(_) => Ok(target),
            _ => Err(DecodeError::Wrong { property: "arguments", expected: "an array" }),
        }
    }

    /// A result without a JSON form becomes an error, since REST callers receive JSON.
    fn outcome(&mut self) -> Result<Outcome, DecodeError> {
        match self.natural("resultKind")? {
            1 => Ok(Outcome::Error(self.text("error")?)),
            2 => Ok(Outcome::Void),
            3 => Ok(match to_json(self.next("result")?) {
                Ok(result) => Outcome::Result(result),
                Err(error) => Outcome::Error(format!("the value cannot be written as JSON: {error}")),
            }),
            _ => Err(DecodeError::Wrong { property: "resultKind", expected: "1, 2 or 3" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rmpv::Value;
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
        let invocation =
            |id, arguments| hex(&ServerMessage::Invocation { id, target: "hi", arguments: &json(arguments) });
        for (hex, expected) in [
            (hex(&ServerMessage::Ping), "02 91 06"),
            (invocation(None, r#"["x"]"#), "0b 96 01 80 c0 a2 68 69 91 a1 78 90"),
            (invocation(Some("1"), "[]"), "0a 96 01 80 a1 31 a2 68 69 90 90"),
            (hex(&ServerMessage::StreamItem { id: "1", item: &json("42") }), "06 94 02 80 a1 31 2a"),
            (completion(Outcome::Void), "06 94 03 80 a1 31 02"),
            (completion(Outcome::Result(json("42"))), "07 95 03 80 a1 31 03 2a"),
            (completion(Outcome::Error("no".into())), "09 95 03 80 a1 31 01 a2 6e 6f"),
            (hex(&ServerMessage::Close { error: None, allow_reconnect: false }), "03 92 07 c0"),
            (hex(&ServerMessage::Close { error: Some("bye"), allow_reconnect: true }), "07 93 07 a3 62 79 65 c3"),
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

    fn encoded(elements: Vec<Value>) -> Bytes {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &Value::Array(elements)).unwrap();
        bytes.into()
    }

    fn message(elements: Vec<Value>) -> ClientMessage {
        decode(&encoded(elements)).unwrap()
    }

    fn error(elements: Vec<Value>) -> String {
        decode(&encoded(elements)).unwrap_err().to_string()
    }

    fn nothing() -> Value {
        Value::Array(vec![])
    }

    fn no_headers() -> Value {
        Value::Map(vec![])
    }

    fn secret_headers() -> Value {
        Value::Map(vec![("Authorization".into(), "Bearer x".into())])
    }

    fn completion(kind: u8, value: Value) -> Outcome {
        let message = message(vec![3.into(), no_headers(), "1".into(), kind.into(), value]);
        let ClientMessage::Completion { outcome, .. } = message else { panic!("no completion") };
        outcome
    }

    #[test]
    fn an_invocation_has_five_elements_or_more() {
        let five = vec![1.into(), no_headers(), Value::Nil, "hi".into(), Value::Array(vec!["x".into()])];
        let six = [five.clone(), vec![nothing()]].concat();
        let longer = [six.clone(), vec![no_headers(), "new".into()]].concat();
        for elements in [five, six, longer] {
            let forwarded = encoded(elements.clone());
            assert_eq!(message(elements), ClientMessage::Invocation { id: None, target: "hi".into(), forwarded });
        }
    }

    #[test]
    fn every_message_type_is_read() {
        let item = ClientMessage::StreamItem { id: "1".into() };
        assert_eq!(message(vec![2.into(), no_headers(), "1".into(), Value::Nil]), item);
        let stream = ClientMessage::StreamInvocation { id: "1".into(), target: "t".into() };
        assert_eq!(message(vec![4.into(), secret_headers(), "1".into(), "t".into(), nothing()]), stream);
        assert_eq!(message(vec![5.into(), Value::Nil, "1".into()]), ClientMessage::CancelInvocation { id: "1".into() });
        assert_eq!(message(vec![6.into()]), ClientMessage::Ping);
        assert_eq!(message(vec![7.into(), Value::Nil]), ClientMessage::Close { error: None });
        let close = ClientMessage::Close { error: Some("bye".into()) };
        assert_eq!(message(vec![7.into(), "bye".into(), true.into()]), close);
        assert_eq!(message(vec![8.into(), 5.into()]), ClientMessage::Ack(5));
        assert_eq!(message(vec![9.into(), u64::MAX.into()]), ClientMessage::Sequence(u64::MAX));
    }

    #[test]
    fn a_completion_is_void_or_has_a_result_or_an_error() {
        let void = message(vec![3.into(), no_headers(), "1".into(), 2.into()]);
        assert_eq!(void, ClientMessage::Completion { id: "1".into(), outcome: Outcome::Void });
        assert_eq!(completion(1, "no".into()), Outcome::Error("no".into()));
        let result = json("[42,null]");
        assert_eq!(completion(3, Value::Array(vec![42.into(), Value::Nil])), Outcome::Result(result));
    }

    #[test]
    fn a_result_without_a_json_form_is_an_error() {
        let error = "the value cannot be written as JSON: it holds a MessagePack extension of type 7";
        assert_eq!(completion(3, Value::Ext(7, vec![0])), Outcome::Error(error.into()));
    }

    #[test]
    fn case_34_unknown_types_are_reported_with_any_elements() {
        assert_eq!(message(vec![99.into(), 1.into()]), ClientMessage::Other(99));
        assert_eq!(message(vec![0.into()]), ClientMessage::Other(0));
    }

    #[test]
    fn an_upstream_gets_the_unchanged_message_without_headers() {
        for headers in [secret_headers(), Value::Nil] {
            // Encodings that are not the shortest, and more elements than needed.
            let rest = [0xcd, 0, 5, 0xc4, 1, 0];
            let received =
                [&[0xdc, 0, 7, 1][..], &encoded(vec![headers])[1..], &[0xc0, 0xd9, 1, b'x', 0x90], &rest].concat();
            let expected = [&[0xdc, 0, 7, 1, 0x80, 0xc0, 0xd9, 1, b'x', 0x90][..], &rest].concat();
            let expected = ClientMessage::Invocation { id: None, target: "x".into(), forwarded: expected.into() };
            assert_eq!(decode(&received.into()), Ok(expected));
        }
    }

    #[test]
    fn an_empty_id_is_none() {
        let call = vec![1.into(), no_headers(), "".into(), "t".into(), nothing()];
        assert!(matches!(message(call), ClientMessage::Invocation { id: None, .. }));
        assert_eq!(error(vec![5.into(), no_headers(), "".into()]), "`invocationId` is missing");
    }

    #[test]
    fn errors_name_the_reason() {
        let call = |target: Value, arguments| vec![1.into(), no_headers(), Value::Nil, target, arguments];
        for (elements, expected) in [
            (vec![], "`type` is missing"),
            (vec!["1".into()], "`type` must be a whole number from 0 on"),
            (vec![(-1).into()], "`type` must be a whole number from 0 on"),
            (vec![1.into()], "`headers` is missing"),
            (vec![1.into(), nothing()], "`headers` must be a map"),
            (vec![1.into(), no_headers(), 1.into()], "`invocationId` must be a text"),
            (call(Value::Nil, nothing()), "`target` is missing"),
            (call("".into(), nothing()), "`target` is missing"),
            (call(Value::Binary(vec![]), nothing()), "`target` must be a text"),
            (call("t".into(), Value::Nil), "`arguments` must be an array"),
            (vec![1.into(), no_headers(), Value::Nil, "t".into()], "`arguments` is missing"),
            (vec![2.into(), no_headers(), "1".into()], "`item` is missing"),
            (vec![3.into(), no_headers(), "1".into()], "`resultKind` is missing"),
            (vec![3.into(), no_headers(), "1".into(), 4.into()], "`resultKind` must be 1, 2 or 3"),
            (vec![3.into(), no_headers(), "1".into(), 3.into()], "`result` is missing"),
            (vec![3.into(), no_headers(), "1".into(), 1.into()], "`error` is missing"),
            (vec![3.into(), no_headers(), Value::Nil, 2.into()], "`invocationId` is missing"),
            (vec![7.into(), 1.into()], "`error` must be a text"),
            (vec![8.into(), 1.5.into()], "`sequenceId` must be a whole number from 0 on"),
        ] {
            assert_eq!(error(elements), expected);
        }
        for (bytes, expected) in [
            (&[][..], DecodeError::Truncated),
            (&[0x80], DecodeError::NotAnArray),
            (&[0x92, 6], DecodeError::Truncated),
            (&[0x91, 6, 0xc0], DecodeError::Trailing),
            (&[0x92, 6, 0xc1], DecodeError::Reserved),
            (&[0xdd, 0xff, 0xff, 0xff, 0xff, 6], DecodeError::Truncated),
        ] {
            assert_eq!(decode(&Bytes::from_static(bytes)), Err(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn half_a_million_levels_need_no_stack() {
        let deep = [vec![0x91; 500_000], vec![0xc0]].concat();
        let result = [&[0x95, 3, 0x80, 0xa1, b'1', 3], &deep[..]].concat();
        assert!(matches!(decode(&result.into()), Ok(ClientMessage::Completion { outcome: Outcome::Result(_), .. })));
        let call = [&[0x95, 1, 0x80, 0xc0, 0xa1, b't'], &deep[..]].concat();
        assert!(matches!(decode(&call.into()), Ok(ClientMessage::Invocation { .. })));
    }
}
