//! JSON as MessagePack.
//!
//! Clients of both protocols must get equal values: a whole number that fits 64 bits stays an integer, every other
//! number becomes a float64 (`-0` too, since no integer is it, and what is too large for one becomes infinity, as in
//! browsers). Texts stay texts, whatever they look like; properties keep their order.

use serde_json::value::RawValue;

use super::writer::Writer;
use crate::protocol::json::tokens::{Token, tokens};

/// Writes `json`. Containers nest on the heap, four bytes a level, so depth is bounded by the size of the text alone.
pub(super) fn write(json: &RawValue, to: &mut Writer) {
    let mut sizes = sizes(json).into_iter();
    let mut size = || sizes.next().expect("`sizes` has every container, in this order") as usize;
    for token in tokens(json) {
        match token {
            Token::Null => to.nil(),
            Token::Bool(value) => to.bool(value),
            Token::Number(digits) => write_number(digits, to),
            Token::Text(text) => to.text(&text.unescape()),
            Token::BeginArray => to.array(size()),
            Token::BeginObject => to.map(size() / 2),
            Token::End => {}
        }
    }
}

/// How many tokens each container holds directly, names of properties too, in the order in which they begin:
/// MessagePack wants to know before the first.
fn sizes(json: &RawValue) -> Vec<u32> {
    let (mut sizes, mut open): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    for token in tokens(json) {
        if token == Token::End {
            open.pop();
            continue;
        }
        if let Some(&innermost) = open.last() {
            sizes[innermost as usize] += 1;
        }
        if matches!(token, Token::BeginArray | Token::BeginObject) {
            let index = u32::try_from(sizes.len()).expect("bodies are far smaller than 4 GiB");
            open.push(index);
            sizes.push(0);
        }
    }
    sizes
}

fn write_number(digits: &str, to: &mut Writer) {
    match (digits.parse(), digits.parse()) {
        (Ok(natural), _) => to.unsigned(natural),
        (_, Ok(negative @ ..=-1)) => to.signed(negative),
        _ => to.float(digits.parse().expect("every JSON number is one in Rust too")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rmpv::Value;

    fn messagepack(text: &str) -> Vec<u8> {
        let json = RawValue::from_string(text.into()).unwrap();
        let mut writer = Writer::new(0);
        write(&json, &mut writer);
        let frame = writer.into_frame();
        let (prefix, _) = super::super::length_prefix::read(&frame).unwrap().unwrap();
        frame[prefix..].to_vec()
    }

    fn value(text: &str) -> Value {
        let bytes = messagepack(text);
        let mut rest = &bytes[..];
        let value = rmpv::decode::read_value(&mut rest).unwrap();
        assert!(rest.is_empty(), "{text}");
        value
    }

    #[test]
    fn whole_numbers_stay_integers_and_others_become_floats() {
        for (text, expected) in [
            ("0", Value::from(0)),
            ("-1", Value::from(-1)),
            ("18446744073709551615", Value::from(u64::MAX)),
            ("-9223372036854775808", Value::from(i64::MIN)),
            ("18446744073709551616", Value::from(18_446_744_073_709_551_616.0)),
            ("-9223372036854775809", Value::from(-9_223_372_036_854_775_809.0)),
            ("1.0", Value::from(1.0)),
            ("1e2", Value::from(100.0)),
            ("-0", Value::from(-0.0)),
            ("1e400", Value::from(f64::INFINITY)),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert_eq!(messagepack("-0")[..2], [0xcb, 0x80]);
    }

    #[test]
    fn case_51_a_date_stays_a_text_and_properties_keep_their_order() {
        assert_eq!(
            value(r#"{"b":"2020-01-01T00:00:00Z","a":[[],{}],"b":null,"\u00e9":true}"#),
            Value::Map(vec![
                ("b".into(), "2020-01-01T00:00:00Z".into()),
                ("a".into(), Value::Array(vec![Value::Array(vec![]), Value::Map(vec![])])),
                ("b".into(), Value::Nil),
                ("é".into(), true.into()),
            ])
        );
    }

    #[test]
    fn half_a_million_levels_cost_no_stack() {
        let levels = 500_000;
        let arrays = messagepack(&["[".repeat(levels), "]".repeat(levels)].concat());
        assert_eq!(arrays.len(), levels);
        assert_eq!((arrays[0], arrays[levels - 2], arrays[levels - 1]), (0x91, 0x91, 0x90));
        let objects = messagepack(&[r#"{"":"#.repeat(levels), "1".into(), "}".repeat(levels)].concat());
        assert_eq!(objects.len(), 2 * levels + 1);
    }

    /// The same value as serde understands the text.
    fn expected(value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(value) => (*value).into(),
            serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(natural), ..) => natural.into(),
                (_, Some(negative), _) => negative.into(),
                (.., float) => float.unwrap().into(),
            },
            serde_json::Value::String(text) => text.as_str().into(),
            serde_json::Value::Array(values) => Value::Array(values.iter().map(expected).collect()),
            serde_json::Value::Object(pairs) => Value::Map(
                pairs.iter().map(|(name, value)| (name.as_str().into(), expected(value))).collect(),
            ),
        }
    }

    proptest! {
        #[test]
        fn case_51_every_value_is_what_another_implementation_reads(json in crate::protocol::testing::json()) {
            for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                prop_assert_eq!(value(&text), expected(&json));
            }
        }
    }
}
