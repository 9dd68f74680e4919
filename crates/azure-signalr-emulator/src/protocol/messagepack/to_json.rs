//! Converts MessagePack to JSON.
//!
//! Binary becomes base64, a timestamp RFC 3339 text, NaN and infinities `null`, as a JSON client in a browser writes them.
//! Other values without a JSON form are errors.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::primitives::{Reader, Value};
use crate::protocol::hub_message::DecodeError;

/// The extension type of timestamps in the MessagePack specification.
const TIMESTAMP_TYPE: i8 = -1;

/// Why a value has no JSON form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoJsonForm {
    #[error("it holds a MessagePack extension of type {0}")]
    Extension(i8),
    /// Also for a timestamp of a wrong length.
    #[error("it holds a timestamp that is none between the years -9999 and 9999")]
    Timestamp,
    #[error("the key of a map is neither a text, nor a whole number, nor true or false")]
    Key,
    #[error("it holds a text that is not UTF-8")]
    Text,
    #[error("it is not MessagePack")]
    Malformed,
}

impl From<DecodeError> for NoJsonForm {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// An array or map that is not completely written.
struct Container {
    begin: char,
    /// The number of values that follow, keys included.
    missing: u32,
}

impl Container {
    fn expects_key(&self) -> bool {
        self.begin == '{' && self.missing.is_multiple_of(2)
    }

    fn end(&self) -> char {
        if self.begin == '{' { '}' } else { ']' }
    }
}

/// Converts the first value in `bytes`. The JSON is at most seven times as long. Nesting takes eight bytes of heap a level.
pub(super) fn to_json(bytes: &[u8]) -> Result<Box<RawValue>, NoJsonForm> {
    let mut values = Reader::new(Reader::new(bytes).skip()?);
    let mut json = String::with_capacity(bytes.len());
    let mut open: Vec<Container> = Vec::new();
    loop {
        let is_key = open.last().is_some_and(Container::expects_key);
        if let Some(innermost) = open.last_mut() {
            separate(innermost, &mut json);
            innermost.missing -= 1;
        }
        let value = values.value()?;
        if is_key {
            json.push_str(&key(value)?);
        } else if let Some(container) = begin(value) {
            json.push(container.begin);
            open.push(container);
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
    RawValue::from_string(json).map_err(|_| NoJsonForm::Malformed)
}

/// Writes the separator before the next value of `container`.
fn separate(container: &Container, json: &mut String) {
    if json.ends_with(container.begin) {
        return;
    }
    let after_key = container.begin == '{' && !container.expects_key();
    json.push(if after_key { ':' } else { ',' });
}

fn begin(value: Value<'_>) -> Option<Container> {
    match value {
        Value::Array(values) => Some(Container { begin: '[', missing: values }),
        // Does not overflow: `skip` has seen both values of each pair.
        Value::Map(pairs) => Some(Container { begin: '{', missing: 2 * pairs }),
        _ => None,
    }
}

fn key(value: Value<'_>) -> Result<String, NoJsonForm> {
    match value {
        Value::Text(_) => scalar(value),
        Value::Unsigned(_) | Value::Negative(_) | Value::Bool(_) => Ok(quoted(&scalar(value)?)),
        _ => Err(NoJsonForm::Key),
    }
}

fn scalar(value: Value<'_>) -> Result<String, NoJsonForm> {
    Ok(match value {
        Value::Nil => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Negative(number) => number.to_string(),
        Value::Float(number) => serde_json::Value::from(number).to_string(),
        Value::Text(text) => quoted(str::from_utf8(text).map_err(|_| NoJsonForm::Text)?),
        Value::Binary(bytes) => quoted(&BASE64_STANDARD.encode(bytes)),
        Value::Extension(TIMESTAMP_TYPE, bytes) => quoted(&timestamp(bytes).ok_or(NoJsonForm::Timestamp)?.to_string()),
        Value::Extension(kind, _) => return Err(NoJsonForm::Extension(kind)),
        Value::Array(_) | Value::Map(_) => return Err(NoJsonForm::Malformed),
    })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The three formats: seconds in 32 bits; nanoseconds in 30 and seconds in 34; nanoseconds in 32 and signed seconds in 64.
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
    // Nanoseconds count forward before 1970, too.
    let time = Timestamp::from_second(seconds).ok()?;
    time.checked_add(jiff::SignedDuration::from_nanos(nanoseconds.into())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> Result<String, NoJsonForm> {
        to_json(bytes).map(|json| json.get().to_owned())
    }

    fn converted(bytes: &[u8]) -> String {
        json(bytes).unwrap()
    }

    fn encoded(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    #[test]
    fn containers_have_the_separators_of_json() {
        let value = rmpv::Value::Map(vec![
            ("a".into(), rmpv::Value::Array(vec![])),
            ("b[".into(), rmpv::Value::Array(vec![1.into(), rmpv::Value::Map(vec![]), "{".into(), 2.5.into()])),
            ("c".into(), rmpv::Value::Map(vec![("d".into(), rmpv::Value::Nil), ("e".into(), (-3).into())])),
        ]);
        assert_eq!(converted(&encoded(&value)), r#"{"a":[],"b[":[1,{},"{",2.5],"c":{"d":null,"e":-3}}"#);
    }

    #[test]
    fn types_unknown_to_json_are_written_as_browsers_write_them() {
        assert_eq!(converted(&[0xc4, 3, 1, 2, 3]), r#""AQID""#);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(converted(&encoded(&number.into())), "null");
        }
        for (timestamp, text) in [
            (&[0xd6, 0xff, 0x5e, 0x0b, 0xe1, 0x00][..], "2020-01-01T00:00:00Z"),
            (&[0xd7, 0xff, 0x77, 0x35, 0x94, 0x00, 0x5e, 0x0b, 0xe1, 0x00], "2020-01-01T00:00:00.5Z"),
            (
                &[0xc7, 12, 0xff, 0x1d, 0xcd, 0x65, 0x00, 255, 255, 255, 255, 255, 255, 255, 255],
                "1969-12-31T23:59:59.5Z",
            ),
        ] {
            assert_eq!(converted(timestamp), format!("{text:?}"));
        }
    }

    #[test]
    fn keys_are_texts_integers_or_booleans() {
        let map = |key| encoded(&rmpv::Value::Map(vec![(key, 1.into())]));
        for (key, text) in [("\"".into(), r#"{"\"":1}"#), ((-1).into(), r#"{"-1":1}"#), (true.into(), r#"{"true":1}"#)]
        {
            assert_eq!(converted(&map(key)), text);
        }
        for key in [rmpv::Value::Nil, 1.5.into(), rmpv::Value::Array(vec![]), rmpv::Value::Map(vec![])] {
            assert_eq!(json(&map(key)), Err(NoJsonForm::Key));
        }
    }

    #[test]
    fn a_value_without_a_json_form_is_an_error() {
        assert_eq!(json(&[0xd4, 5, 0]), Err(NoJsonForm::Extension(5)));
        assert_eq!(json(&[0xd4, 0xff, 0]), Err(NoJsonForm::Timestamp));
        assert_eq!(json(&[0xd7, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]), Err(NoJsonForm::Timestamp));
        assert_eq!(
            json(&[0xc7, 12, 0xff, 0, 0, 0, 0, 127, 255, 255, 255, 255, 255, 255, 255]),
            Err(NoJsonForm::Timestamp)
        );
        assert_eq!(json(&[0xa1, 0xff]), Err(NoJsonForm::Text));
        assert_eq!(json(&[0x92, 1]), Err(NoJsonForm::Malformed));
    }

    #[test]
    fn half_a_million_levels_need_no_stack() {
        let mut deep = vec![0x91; 500_000];
        deep.push(1);
        assert_eq!(converted(&deep), ["[".repeat(500_000), "1".into(), "]".repeat(500_000)].concat());
    }

    proptest! {
        #[test]
        fn json_survives_a_round_trip_through_messagepack(value in crate::protocol::test_support::json()) {
            let text = RawValue::from_string(value.to_string()).unwrap();
            let mut writer = super::super::primitives::Writer::new(0);
            super::super::from_json::write(&text, &mut writer);
            let frame = writer.into_frame();
            let (prefix, _) = super::super::length_prefix::read(&frame).unwrap().unwrap();
            prop_assert_eq!(converted(&frame[prefix..]), value.to_string());
        }

        #[test]
        fn any_bytes_become_json_of_bounded_length_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(json) = json(&bytes) {
                prop_assert!(json.len() <= 7 * bytes.len() + 2, "{}", json);
            }
        }
    }
}
