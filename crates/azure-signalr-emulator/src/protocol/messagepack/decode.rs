//! What a client said, from MessagePack.
//!
//! Elements that a message does not need, and more than it has, are skipped; but all of them must be MessagePack, for
//! an upstream gets them.

use std::ops::Range;

use bytes::Bytes;

use super::to_json::to_json;
use super::value::{Reader, Value};
use crate::protocol::malformed::Fault;
use crate::protocol::{ClientMessage, Outcome};

const ID: &str = "invocationId";

/// A map without entries.
const NO_HEADERS: &[u8] = &[0x80];

/// Reads one message, given without its length prefix.
pub(in crate::protocol) fn read(message: &Bytes) -> Result<ClientMessage, Fault> {
    let mut fields = Fields::of(message)?;
    Ok(match fields.natural("type")? {
        1 => {
            let headers = fields.headers()?;
            let (id, target) = (fields.optional_id()?, fields.call()?);
            ClientMessage::Invocation { id, target, forwarded: without(headers, message) }
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
            ClientMessage::StreamInvocation { id, target: fields.call()? }
        }
        5 => ClientMessage::CancelInvocation { id: fields.id_after_headers()? },
        6 => ClientMessage::Ping,
        7 => ClientMessage::Close { error: fields.optional_text("error")? },
        8 => ClientMessage::Ack(fields.natural("sequenceId")?),
        9 => ClientMessage::Sequence(fields.natural("sequenceId")?),
        other => ClientMessage::Other(other),
    })
}

/// The message with an empty map in place of its headers.
fn without(headers: Range<usize>, message: &Bytes) -> Bytes {
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
    fn of(message: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(message);
        reader.skip()?;
        if reader.left() > 0 {
            return Err(Fault::Trailing);
        }
        let mut reader = Reader::new(message);
        match reader.value()? {
            Value::Array(left) => Ok(Self { message, reader, left }),
            _ => Err(Fault::NotAnArray),
        }
    }

    /// The bytes of the next element.
    fn next(&mut self, property: &'static str) -> Result<&'a [u8], Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Missing(property))?;
        self.reader.skip()
    }

    /// The next element, of an array or map only the header.
    fn value(&mut self, property: &'static str) -> Result<Value<'a>, Fault> {
        Reader::new(self.next(property)?).value()
    }

    fn natural(&mut self, property: &'static str) -> Result<u64, Fault> {
        match self.value(property)? {
            Value::Unsigned(number) => Ok(number),
            _ => Err(Fault::Wrong { property, expected: "a whole number from 0 on" }),
        }
    }

    fn optional_text(&mut self, property: &'static str) -> Result<Option<String>, Fault> {
        let text = match self.value(property)? {
            Value::Nil => return Ok(None),
            Value::Text(text) => str::from_utf8(text).ok(),
            _ => None,
        };
        text.map(|text| Some(text.to_owned())).ok_or(Fault::Wrong { property, expected: "a text" })
    }

    fn text(&mut self, property: &'static str) -> Result<String, Fault> {
        self.optional_text(property)?.ok_or(Fault::Missing(property))
    }

    /// Where the headers are.
    fn headers(&mut self) -> Result<Range<usize>, Fault> {
        let headers = self.next("headers")?;
        let end = self.message.len() - self.reader.left();
        match Reader::new(headers).value()? {
            Value::Map(_) | Value::Nil => Ok(end - headers.len()..end),
            _ => Err(Fault::Wrong { property: "headers", expected: "a map" }),
        }
    }

    /// An empty id is none: there is no way to answer to it.
    fn optional_id(&mut self) -> Result<Option<String>, Fault> {
        Ok(self.optional_text(ID)?.filter(|id| !id.is_empty()))
    }

    fn id_after_headers(&mut self) -> Result<String, Fault> {
        self.headers()?;
        self.optional_id()?.ok_or(Fault::Missing(ID))
    }

    /// The target of a call, which must have arguments too.
    fn call(&mut self) -> Result<String, Fault> {
        let target = self.text("target")?;
        if target.is_empty() {
            return Err(Fault::Missing("target"));
        }
        match self.value("arguments")? {
            Value::Array(_) => Ok(target),
            _ => Err(Fault::Wrong { property: "arguments", expected: "an array" }),
        }
    }

    /// A result that JSON cannot express is an error of the client's: whoever asked for it reads JSON.
    fn outcome(&mut self) -> Result<Outcome, Fault> {
        match self.natural("resultKind")? {
            1 => Ok(Outcome::Error(self.text("error")?)),
            2 => Ok(Outcome::Void),
            3 => {
                let result = to_json(self.next("result")?);
                Ok(result.map_or_else(|error| Outcome::Error(error.to_string()), Outcome::Result))
            }
            _ => Err(Fault::Wrong { property: "resultKind", expected: "1, 2 or 3" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rmpv::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn encoded(elements: Vec<Value>) -> Bytes {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &Value::Array(elements)).unwrap();
        bytes.into()
    }

    fn message(elements: Vec<Value>) -> ClientMessage {
        read(&encoded(elements)).unwrap()
    }

    fn fault(elements: Vec<Value>) -> String {
        read(&encoded(elements)).unwrap_err().to_string()
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
            assert_eq!(
                message(elements),
                ClientMessage::Invocation { id: None, target: "hi".into(), forwarded }
            );
        }
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(
            message(vec![2.into(), no_headers(), "1".into(), Value::Nil]),
            ClientMessage::StreamItem { id: "1".into() }
        );
        assert_eq!(
            message(vec![4.into(), secret_headers(), "1".into(), "t".into(), nothing()]),
            ClientMessage::StreamInvocation { id: "1".into(), target: "t".into() }
        );
        assert_eq!(
            message(vec![5.into(), Value::Nil, "1".into()]),
            ClientMessage::CancelInvocation { id: "1".into() }
        );
        assert_eq!(message(vec![6.into()]), ClientMessage::Ping);
        assert_eq!(message(vec![7.into(), Value::Nil]), ClientMessage::Close { error: None });
        assert_eq!(
            message(vec![7.into(), "bye".into(), true.into()]),
            ClientMessage::Close { error: Some("bye".into()) }
        );
        assert_eq!(message(vec![8.into(), 5.into()]), ClientMessage::Ack(5));
        assert_eq!(message(vec![9.into(), u64::MAX.into()]), ClientMessage::Sequence(u64::MAX));
    }

    #[test]
    fn a_completion_is_void_or_has_a_result_or_an_error() {
        let void = message(vec![3.into(), no_headers(), "1".into(), 2.into()]);
        assert_eq!(void, ClientMessage::Completion { id: "1".into(), outcome: Outcome::Void });
        assert_eq!(completion(1, "no".into()), Outcome::Error("no".into()));
        let result = RawValue::from_string("[42,null]".into()).unwrap();
        assert_eq!(completion(3, Value::Array(vec![42.into(), Value::Nil])), Outcome::Result(result));
    }

    #[test]
    fn a_result_json_cannot_express_is_an_error_of_the_client() {
        assert_eq!(
            completion(3, Value::Ext(7, vec![0])),
            Outcome::Error(
                "the value cannot be written as JSON: it holds a MessagePack extension of type 7".into()
            )
        );
    }

    #[test]
    fn case_34_unknown_types_are_named_whatever_they_hold() {
        assert_eq!(message(vec![99.into(), 1.into()]), ClientMessage::Other(99));
        assert_eq!(message(vec![0.into()]), ClientMessage::Other(0));
    }

    #[test]
    fn an_upstream_gets_the_message_as_it_came_but_for_the_headers() {
        for headers in [secret_headers(), Value::Nil] {
            // Not as short as they could be, and in an array that is longer than it has to be.
            let rest = [0xcd, 0, 5, 0xc4, 1, 0];
            let came =
                [&[0xdc, 0, 7, 1][..], &encoded(vec![headers])[1..], &[0xc0, 0xd9, 1, b'x', 0x90], &rest]
                    .concat();
            let expected = [&[0xdc, 0, 7, 1, 0x80, 0xc0, 0xd9, 1, b'x', 0x90][..], &rest].concat();
            assert_eq!(
                read(&came.into()),
                Ok(ClientMessage::Invocation { id: None, target: "x".into(), forwarded: expected.into() })
            );
        }
    }

    #[test]
    fn an_empty_id_is_none() {
        let call = vec![1.into(), no_headers(), "".into(), "t".into(), nothing()];
        assert!(matches!(message(call), ClientMessage::Invocation { id: None, .. }));
        assert_eq!(fault(vec![5.into(), no_headers(), "".into()]), "`invocationId` is missing");
    }

    #[test]
    fn what_is_no_message_says_why() {
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
            assert_eq!(fault(elements), expected);
        }
        for (bytes, expected) in [
            (&[][..], Fault::Truncated),
            (&[0x80], Fault::NotAnArray),
            (&[0x92, 6], Fault::Truncated),
            (&[0x91, 6, 0xc0], Fault::Trailing),
            (&[0x92, 6, 0xc1], Fault::Reserved),
            (&[0xdd, 0xff, 0xff, 0xff, 0xff, 6], Fault::Truncated),
        ] {
            assert_eq!(read(&Bytes::from_static(bytes)), Err(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn half_a_million_levels_cost_no_stack() {
        let deep = [vec![0x91; 500_000], vec![0xc0]].concat();
        let result = [&[0x95, 3, 0x80, 0xa1, b'1', 3], &deep[..]].concat();
        assert!(matches!(
            read(&result.into()),
            Ok(ClientMessage::Completion { outcome: Outcome::Result(_), .. })
        ));
        let call = [&[0x95, 1, 0x80, 0xc0, 0xa1, b't'], &deep[..]].concat();
        assert!(matches!(read(&call.into()), Ok(ClientMessage::Invocation { .. })));
    }
}
