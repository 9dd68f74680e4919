//! The hub protocols JSON and MessagePack: from bytes to messages and back.
//!
//! Messages of both protocols are JSON values with the property names of the JSON protocol, so that cases can compare them. A
//! MessagePack value without a JSON form, such as binary, becomes an object with a `$` in a name and equals no JSON value.
//!
//! <https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md>

use rmpv::Value as Packed;
use serde_json::{Map, Value, json};

/// The end of each message of the JSON protocol and of each handshake message.
pub(crate) const RECORD_SEPARATOR: u8 = 0x1e;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json,
    MessagePack,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// Serializes a message with its framing.
    pub(crate) fn write(self, message: &Value) -> Vec<u8> {
        match self {
            Self::Json => [message.to_string().as_bytes(), &[RECORD_SEPARATOR]].concat(),
            Self::MessagePack => add_length_prefix(&pack_message(message)),
        }
    }

    /// Removes the first complete message from the received bytes and parses it.
    pub(crate) fn read(self, pending: &mut Vec<u8>) -> Option<Result<Value, String>> {
        match self {
            Self::Json => take_record(pending)
                .map(|text| serde_json::from_slice(&text).map_err(|_| format!("{:?}", String::from_utf8_lossy(&text)))),
            Self::MessagePack => {
                let (length, size) = read_length(pending)?;
                (pending.len() >= size + length).then(|| {
                    let frame: Vec<u8> = pending.drain(..size + length).collect();
                    let packed = rmpv::decode::read_value(&mut &frame[size..]).map_err(|error| error.to_string())?;
                    unpack_message(&packed).ok_or_else(|| format!("MessagePack {packed}"))
                })
            }
        }
    }
}

/// Removes the bytes up to the first record separator and returns them without it.
pub(crate) fn take_record(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = pending.iter().position(|&byte| byte == RECORD_SEPARATOR)?;
    let text = pending.drain(..=end).take(end).collect();
    Some(text)
}

/// Encodes a MessagePack value with its length in front, a varint of seven bits a byte, lowest first.
pub(crate) fn add_length_prefix(packed: &Packed) -> Vec<u8> {
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, packed).expect("writing to a vector cannot fail");
    let mut frame = Vec::new();
    let mut length = body.len();
    while length >= 0x80 {
        frame.push(u8::try_from(length & 0x7f).expect("seven bits fit") | 0x80);
        length >>= 7;
    }
    frame.push(u8::try_from(length).expect("seven bits fit"));
    frame.extend(body);
    frame
}

/// The length prefix, and its own size in bytes.
fn read_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let size = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)? + 1;
    let length = bytes[..size].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    Some((length, size))
}

fn pack_message(message: &Value) -> Packed {
    let text = |name: &str| message.get(name).and_then(Value::as_str).map_or(Packed::Nil, Packed::from);
    let headers = || Packed::Map(Vec::new());
    let kind = message["type"].as_u64().unwrap_or_default();
    let array = match kind {
        1 | 4 => {
            let (arguments, streams) = (pack(&message["arguments"]), Packed::Array(vec![]));
            vec![kind.into(), headers(), text("invocationId"), text("target"), arguments, streams]
        }
        3 => {
            let mut completion = vec![kind.into(), headers(), text("invocationId")];
            match (message.get("error"), message.get("result")) {
                (Some(error), _) => completion.extend([1.into(), pack(error)]),
                (None, Some(result)) => completion.extend([3.into(), pack(result)]),
                (None, None) => completion.push(2.into()),
            }
            completion
        }
        7 => vec![kind.into(), text("error")],
        _ => vec![kind.into()],
    };
    Packed::Array(array)
}

pub(crate) fn pack(value: &Value) -> Packed {
    match value {
        Value::Null => Packed::Nil,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => number.into(),
            (_, Some(number), _) => number.into(),
            (_, _, number) => number.unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Packed::Array(items.iter().map(pack).collect()),
        Value::Object(fields) => {
            Packed::Map(fields.iter().map(|(name, value)| (name.as_str().into(), pack(value))).collect())
        }
    }
}

fn unpack_message(packed: &Packed) -> Option<Value> {
    let array = packed.as_array()?;
    let kind = array.first()?.as_u64()?;
    let at = |index: usize| array.get(index).map_or(Value::Null, unpack);
    let message = match kind {
        1 | 4 => json!({"invocationId": at(2), "target": at(3), "arguments": at(4)}),
        2 => json!({"invocationId": at(2), "item": at(3)}),
        3 => match array.get(3)?.as_u64()? {
            1 => json!({"invocationId": at(2), "error": at(4)}),
            3 => json!({"invocationId": at(2), "result": at(4)}),
            _ => json!({"invocationId": at(2)}),
        },
        5 => json!({"invocationId": at(2)}),
        7 => json!({"error": at(1), "allowReconnect": array.get(2).map_or(Value::Null, unpack)}),
        8 | 9 => json!({"sequenceId": at(1)}),
        _ => json!({}),
    };
    let Value::Object(fields) = message else { return None };
    // The JSON protocol omits properties that are nil in MessagePack, except for results, which may be null.
    let mut present: Map<String, Value> =
        fields.into_iter().filter(|(name, value)| !value.is_null() || name == "result" || name == "item").collect();
    present.insert("type".to_owned(), kind.into());
    Some(Value::Object(present))
}

fn unpack(packed: &Packed) -> Value {
    match packed {
        Packed::Nil => Value::Null,
        Packed::Boolean(value) => json!(value),
        Packed::Integer(number) => number.as_u64().map_or_else(|| json!(number.as_i64()), |number| json!(number)),
        Packed::F32(number) => json!(number),
        Packed::F64(number) => json!(number),
        Packed::String(text) => text.as_str().map_or_else(|| json!({"$text": "not UTF-8"}), |text| json!(text)),
        Packed::Binary(bytes) => json!({"$binary": bytes}),
        Packed::Array(items) => items.iter().map(unpack).collect(),
        Packed::Map(fields) => fields
            .iter()
            .map(|(name, value)| (name.as_str().map_or_else(|| name.to_string(), str::to_owned), unpack(value)))
            .collect::<Map<_, _>>()
            .into(),
        Packed::Ext(kind, bytes) => json!({"$ext": kind, "bytes": bytes}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: [u8; 3] = [0x02, 0x91, 0x06];
    const HI: [u8; 12] = [0x0b, 0x96, 0x01, 0x80, 0xc0, 0xa2, 0x68, 0x69, 0x91, 0xa1, 0x78, 0x90];

    #[test]
    fn recorded_frames_are_written_and_read_unchanged() {
        let invocation = json!({"type": 1, "target": "hi", "arguments": ["x"]});
        assert_eq!(Protocol::MessagePack.write(&json!({"type": 6})), PING);
        assert_eq!(Protocol::MessagePack.write(&invocation), HI);
        let mut pending = [&PING[..], &HI].concat();
        assert_eq!(Protocol::MessagePack.read(&mut pending), Some(Ok(json!({"type": 6}))));
        assert_eq!(Protocol::MessagePack.read(&mut pending), Some(Ok(invocation)));
        assert_eq!(Protocol::MessagePack.read(&mut pending), None);
    }

    #[test]
    fn completion_and_close_messages_are_read() {
        let messages: [(&[u8], Value); 5] = [
            (&[0x06, 0x94, 0x03, 0x80, 0xa1, 0x31, 0x02], json!({"type": 3, "invocationId": "1"})),
            (&[0x07, 0x95, 0x03, 0x80, 0xa1, 0x31, 0x03, 0x2a], json!({"type": 3, "invocationId": "1", "result": 42})),
            (b"\x09\x95\x03\x80\xa1\x31\x01\xa2no", json!({"type": 3, "invocationId": "1", "error": "no"})),
            (b"\x03\x92\x07\xc0", json!({"type": 7})),
            (b"\x07\x93\x07\xa3bye\xc3", json!({"type": 7, "error": "bye", "allowReconnect": true})),
        ];
        for (frame, message) in messages {
            assert_eq!(Protocol::MessagePack.read(&mut frame.to_vec()), Some(Ok(message)));
        }
    }

    #[test]
    fn an_incomplete_message_is_not_read() {
        let long = json!({"type": 1, "target": "long", "arguments": ["x".repeat(200)]});
        for protocol in [Protocol::Json, Protocol::MessagePack] {
            let frame = protocol.write(&long);
            let mut pending = frame[..frame.len() - 1].to_vec();
            assert_eq!(protocol.read(&mut pending), None, "{protocol:?}");
            pending.push(frame[frame.len() - 1]);
            assert_eq!(protocol.read(&mut pending), Some(Ok(long.clone())), "{protocol:?}");
            assert!(pending.is_empty());
        }
        assert_eq!(Protocol::MessagePack.write(&long)[1], 1, "the second byte of the length");
    }

    #[test]
    fn values_without_a_json_form_have_a_dollar_name() {
        for packed in [Packed::Binary(vec![1]), Packed::Ext(-1, vec![0; 4])] {
            assert!(unpack(&packed).as_object().unwrap().keys().any(|name| name.starts_with('$')));
        }
    }

    #[test]
    fn an_invalid_message_is_an_error() {
        assert!(matches!(Protocol::Json.read(&mut b"{\x1e".to_vec()), Some(Err(_))));
        assert!(matches!(Protocol::MessagePack.read(&mut vec![0x01, 0x06]), Some(Err(_))));
    }
}
