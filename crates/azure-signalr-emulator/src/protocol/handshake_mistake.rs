//! [`Mistake`]: what is wrong with a handshake request, and how to mend it.

use serde_json::{Deserializer, Map, Value};

use super::messagepack::length_prefix;

/// A valid request.
const EXAMPLE: &str = r#"{"protocol":"json","version":1}"#;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What is wrong with a handshake request. The text is one sentence with the way to mend it, and repeats nothing of the request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    #[error("nothing arrived in time: send {} and the byte 0x1E as soon as the connection is open", EXAMPLE)]
    NothingSent,
    /// With what stands in its place.
    #[error("the byte 0x1E that ends the request did not arrive in time{0}: append that byte")]
    NoSeparator(&'static str),
    #[error("there is nothing before the first byte 0x1E: send {} before it", EXAMPLE)]
    Empty,
    #[error(
        "the request is MessagePack, and a handshake is JSON for every protocol: send {} and the byte 0x1E",
        EXAMPLE
    )]
    MessagePack,
    #[error("the request begins with a byte-order mark: send it without")]
    ByteOrderMark,
    #[error("the request is not UTF-8: send the JSON in UTF-8")]
    NotUtf8,
    #[error("the request has zero bytes, as UTF-16 has: send the JSON in UTF-8")]
    ZeroBytes,
    #[error("the request is not JSON from line {line}, column {column}: send {}", EXAMPLE)]
    NotJson { line: usize, column: usize },
    #[error("the request goes on after its JSON object: send the byte 0x1E between the handshake and what follows")]
    Trailing,
    #[error("the request is JSON in a JSON text, so it was stringified twice: send the object itself, {}", EXAMPLE)]
    StringifiedTwice,
    #[error("the request is {0} and must be a JSON object: send {example}", example = EXAMPLE)]
    NotAnObject(&'static str),
    #[error("the first record is a hub message: send the handshake before it, {}", EXAMPLE)]
    HubMessage,
    #[error("`{0}` is missing: send {example}", example = EXAMPLE)]
    Missing(&'static str),
    #[error("`{0}` is missing, and spelled in another letter case: write its name in lower case")]
    LetterCase(&'static str),
    #[error("`protocol` is {0} and must be a text: write \"protocol\":\"json\"")]
    Protocol(&'static str),
    #[error("`version` is {0} and must be a whole number of 32 bits: write \"version\":1, without quotes")]
    Version(&'static str),
}

impl Mistake {
    /// In a request whose separator has not arrived.
    pub(super) fn in_unfinished(request: &[u8]) -> Self {
        if request.is_empty() {
            Self::NothingSent
        } else if is_messagepack(request) {
            Self::MessagePack
        } else {
            Self::NoSeparator(ending(request))
        }
    }

    /// In a record that is not JSON.
    pub(super) fn in_text(request: &[u8], error: &serde_json::Error) -> Self {
        if request.trim_ascii().is_empty() {
            Self::Empty
        } else if is_messagepack(request) {
            Self::MessagePack
        } else if request.starts_with(BYTE_ORDER_MARK) {
            Self::ByteOrderMark
        } else if str::from_utf8(request).is_err() {
            Self::NotUtf8
        } else if request.contains(&0) {
            Self::ZeroBytes
        } else if begins_with_object(request) {
            Self::Trailing
        } else {
            Self::NotJson { line: error.line(), column: error.column() }
        }
    }

    /// In an object without the property.
    pub(super) fn missing(name: &'static str, fields: &Map<String, Value>) -> Self {
        if fields.keys().any(|key| key.eq_ignore_ascii_case(name)) {
            Self::LetterCase(name)
        } else if fields.contains_key("type") {
            Self::HubMessage
        } else {
            Self::Missing(name)
        }
    }
}

/// The type of a JSON value, with its article.
pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What is often sent in place of the separator, as a clause.
fn ending(request: &[u8]) -> &'static str {
    const ENDINGS: [(&[u8], &str); 6] = [
        (b"\n", ", but a line feed"),
        (b"\r", ", but a carriage return"),
        (b"\0", ", but a zero byte"),
        (b"\\u001e", r", but the six characters \u001e"),
        (b"\\x1e", r", but the four characters \x1e"),
        ("\u{241e}".as_bytes(), ", but the picture of a record separator, U+241E"),
    ];
    // No ending is longer.
    let end = request[request.len().saturating_sub(6)..].to_ascii_lowercase();
    let found = ENDINGS.into_iter().find(|(ending, _)| end.ends_with(ending));
    found.map_or("", |(_, clause)| clause)
}

/// Whether the bytes begin with an array or a map of MessagePack, with or without a length prefix. No UTF-8 does.
fn is_messagepack(bytes: &[u8]) -> bool {
    let prefix = length_prefix::read(bytes).ok().flatten().map_or(0, |(prefix, _)| prefix);
    let starts_value = |at: usize| matches!(bytes.get(at), Some(0x80..=0x9f | 0xdc..=0xdf));
    str::from_utf8(bytes).is_err() && (starts_value(0) || starts_value(prefix))
}

fn begins_with_object(request: &[u8]) -> bool {
    let mut values = Deserializer::from_slice(request).into_iter::<Map<String, Value>>();
    matches!(values.next(), Some(Ok(_)))
}
