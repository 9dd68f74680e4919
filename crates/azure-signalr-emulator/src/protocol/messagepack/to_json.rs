//! MessagePack as JSON.
//!
//! JSON has less: binary becomes base64, a timestamp its RFC 3339 text, and a number that is none (NaN, infinities)
//! `null`, all as JSON clients in browsers would have written it. What still has no form is an error.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::value::{Reader, Value};
use crate::protocol::malformed::Fault;

/// The extension that is a point in time, as MessagePack defines it.
const TIMESTAMP: i8 = -1;

/// Why a value has no form in JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unspeakable {
    /// An extension of this type.
    Extension(i8),
    /// A timestamp outside the years -9999 to 9999, or not as long as one.
    Timestamp,
    /// The key of a map is not a text, a whole number or a truth value.
    Key,
    /// A text is not UTF-8.
    Text,
    /// It is no MessagePack value at all.
    Malformed,
}

impl fmt::Display for Unspeakable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be written as JSON: ")?;
        match self {
            Self::Extension(kind) => write!(f, "it holds a MessagePack extension of type {kind}"),
            Self::Timestamp => {
                f.write_str("it holds a timestamp that is none between the years -9999 and 9999")
            }
            Self::Key => {
                f.write_str("the key of a map is neither a text, nor a whole number, nor true or false")
            }
            Self::Text => f.write_str("it holds a text that is not UTF-8"),
            Self::Malformed => f.write_str("it is not MessagePack"),
        }
    }
}

impl From<Fault> for Unspeakable {
    fn from(_: Fault) -> Self {
        Self::Malformed
    }
}

/// An array or map that is not all written yet.
struct Open {
    begin: char,
    /// Values still to come; in a map keys are values too.
    missing: u32,
}

impl Open {
    fn expects_key(&self) -> bool {
        self.begin == '{' && self.missing.is_multiple_of(2)
    }

    fn end(&self) -> char {
        if self.begin == '{' { '}' } else { ']' }
    }
}

/// The first value in `bytes` as JSON: seven times as long at most. Containers nest on the heap, eight bytes a level.
pub(super) fn to_json(bytes: &[u8]) -> Result<Box<RawValue>, Unspeakable> {
    let mut values = Reader::new(Reader::new(bytes).skip()?);
    let mut json = String::with_capacity(bytes.len());
    let mut open: Vec<Open> = Vec::new();
    loop {
        let is_key = open.last().is_some_and(Open::expects_key);
        if let Some(innermost) = open.last_mut() {
            separate(innermost, &mut json);
            innermost.missing -= 1;
        }
        let value = values.value()?;
        if is_key {
            json.push_str(&key(value)?);
        } else if let Some(begun) = begin(value) {
            json.push(begun.begin);
            open.push(begun);
        } else {
            json.push_str(&scalar(value)?);
        }
        while let Some(done) = open.pop_if(|innermost| innermost.missing == 0) {
            json.push(done.end());
        }
        if open.is_empty() {
            break;
        }
    }
    RawValue::from_string(json).map_err(|_| Unspeakable::Malformed)
}

/// Writes what stands between a value and the one before it.
fn separate(container: &Open, json: &mut String) {
    if json.ends_with(container.begin) {
        return;
    }
    let after_key = container.begin == '{' && !container.expects_key();
    json.push(if after_key { ':' } else { ',' });
}

fn begin(value: Value<'_>) -> Option<Open> {
    match value {
        Value::Array(values) => Some(Open { begin: '[', missing: values }),
        // Does not overflow: both of every pair were there when the value was skipped.
        Value::Map(pairs) => Some(Open { begin: '{', missing: 2 * pairs }),
        _ => None,
    }
}

fn key(value: Value<'_>) -> Result<String, Unspeakable> {
    match value {
        Value::Text(_) => scalar(value),
        Value::Unsigned(_) | Value::Negative(_) | Value::Bool(_) => Ok(quoted(&scalar(value)?)),
        _ => Err(Unspeakable::Key),
    }
}

fn scalar(value: Value<'_>) -> Result<String, Unspeakable> {
    Ok(match value {
        Value::Nil => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Negative(number) => number.to_string(),
        Value::Float(number) => serde_json::Value::from(number).to_string(),
        Value::Text(text) => quoted(str::from_utf8(text).map_err(|_| Unspeakable::Text)?),
        Value::Binary(bytes) => quoted(&BASE64_STANDARD.encode(bytes)),
        Value::Extension(TIMESTAMP, bytes) => {
            quoted(&timestamp(bytes).ok_or(Unspeakable::Timestamp)?.to_string())
        }
        Value::Extension(kind, _) => return Err(Unspeakable::Extension(kind)),
        Value::Array(_) | Value::Map(_) => return Err(Unspeakable::Malformed),
    })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Seconds in 32 bits; nanoseconds in 30 and seconds in 34; or nanoseconds in 32 and seconds in 64 with a sign.
fn timestamp(bytes: &[u8]) -> Option<Timestamp> {
    let (seconds, nanoseconds) = match *bytes {
        [a, b, c, d] => (u32::from_be_bytes([a, b, c, d]).into(), 0),
        [a, b, c, d, e, f, g, h] => {
            let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            ((both & 0x3_ffff_ffff).cast_signed(), (both >> 34) as u32)
        }
        [a, b, c, d, ref seconds @ ..] => {
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes([a, b, c, d]))
        }
        _ => return None,
    };
    let nanoseconds = i32::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    // The sum of both: before 1970 nanoseconds still count forward.
    let time = Timestamp::from_second(seconds).ok()?;
    time.checked_add(jiff::SignedDuration::from_nanos(nanoseconds.into())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> Result<String, Unspeakable> {
        to_json(bytes).map(|json| json.get().to_owned())
    }

    fn speakable(bytes: &[u8]) -> String {
        json(bytes).unwrap()
    }

    fn encoded(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    #[test]
    fn containers_are_separated_as_json_wants_it() {
        let value = rmpv::Value::Map(vec![
            ("a".into(), rmpv::Value::Array(vec![])),
            (
                "b[".into(),
                rmpv::Value::Array(vec![1.into(), rmpv::Value::Map(vec![]), "{".into(), 2.5.into()]),
            ),
            ("c".into(), rmpv::Value::Map(vec![("d".into(), rmpv::Value::Nil), ("e".into(), (-3).into())])),
        ]);
        assert_eq!(speakable(&encoded(&value)), r#"{"a":[],"b[":[1,{},"{",2.5],"c":{"d":null,"e":-3}}"#);
    }

    #[test]
    fn what_json_does_not_have_is_written_as_browsers_write_it() {
        assert_eq!(speakable(&[0xc4, 3, 1, 2, 3]), r#""AQID""#);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(speakable(&encoded(&number.into())), "null");
        }
        for (timestamp, text) in [
            (&[0xd6, 0xff, 0x5e, 0x0b, 0xe1, 0x00][..], "2020-01-01T00:00:00Z"),
            (&[0xd7, 0xff, 0x77, 0x35, 0x94, 0x00, 0x5e, 0x0b, 0xe1, 0x00], "2020-01-01T00:00:00.5Z"),
            (
                &[0xc7, 12, 0xff, 0x1d, 0xcd, 0x65, 0x00, 255, 255, 255, 255, 255, 255, 255, 255],
                "1969-12-31T23:59:59.5Z",
            ),
        ] {
            assert_eq!(speakable(timestamp), format!("{text:?}"));
        }
    }

    #[test]
    fn keys_are_texts_numbers_or_truth_values() {
        let map = |key| encoded(&rmpv::Value::Map(vec![(key, 1.into())]));
        for (key, text) in
            [("\"".into(), r#"{"\"":1}"#), ((-1).into(), r#"{"-1":1}"#), (true.into(), r#"{"true":1}"#)]
        {
            assert_eq!(speakable(&map(key)), text);
        }
        for key in [rmpv::Value::Nil, 1.5.into(), rmpv::Value::Array(vec![]), rmpv::Value::Map(vec![])] {
            assert_eq!(json(&map(key)), Err(Unspeakable::Key));
        }
    }

    #[test]
    fn what_has_no_form_is_an_error() {
        assert_eq!(json(&[0xd4, 5, 0]), Err(Unspeakable::Extension(5)));
        assert_eq!(json(&[0xd4, 0xff, 0]), Err(Unspeakable::Timestamp));
        assert_eq!(json(&[0xd7, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]), Err(Unspeakable::Timestamp));
        assert_eq!(
            json(&[0xc7, 12, 0xff, 0, 0, 0, 0, 127, 255, 255, 255, 255, 255, 255, 255]),
            Err(Unspeakable::Timestamp)
        );
        assert_eq!(json(&[0xa1, 0xff]), Err(Unspeakable::Text));
        assert_eq!(json(&[0x92, 1]), Err(Unspeakable::Malformed));
    }

    #[test]
    fn half_a_million_levels_cost_no_stack() {
        let mut deep = vec![0x91; 500_000];
        deep.push(1);
        assert_eq!(speakable(&deep), ["[".repeat(500_000), "1".into(), "]".repeat(500_000)].concat());
    }

    proptest! {
        #[test]
        fn json_comes_back_through_messagepack(value in crate::protocol::testing::json()) {
            let text = RawValue::from_string(value.to_string()).unwrap();
            let mut writer = super::super::writer::Writer::new(0);
            super::super::from_json::write(&text, &mut writer);
            let frame = writer.into_frame();
            let (prefix, _) = super::super::length_prefix::read(&frame).unwrap().unwrap();
            prop_assert_eq!(speakable(&frame[prefix..]), value.to_string());
        }

        #[test]
        fn any_bytes_become_json_of_bounded_length_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(json) = json(&bytes) {
                prop_assert!(json.len() <= 7 * bytes.len() + 2, "{}", json);
            }
        }
    }
}
