//! Converts JSON to MessagePack.
//!
//! Clients of both protocols receive equal values: an integer of up to 64 bits stays an integer, every other number becomes a
//! float64 (also `-0`; a number that is too large becomes infinity, as in browsers). Texts stay texts; properties keep their order.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::primitives::Writer;

/// Writes `json`. Nesting takes four bytes of heap a level and no stack.
pub(super) fn write(json: &RawValue, writer: &mut Writer) {
    let mut sizes = sizes(json).into_iter();
    let mut size = || sizes.next().expect("`sizes` has an entry for each container") as usize;
    for token in tokens(json) {
        match token {
            Token::Null => writer.nil(),
            Token::Bool(value) => writer.bool(value),
            Token::Number(digits) => write_number(digits, writer),
            Token::Text(text) => writer.text(&text.unescape()),
            Token::BeginArray => writer.array(size()),
            Token::BeginObject => writer.map(size() / 2),
            Token::End => {}
        }
    }
}

/// The number of direct elements of each container, property names included, in order: MessagePack writes it first.
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
            let index = u32::try_from(sizes.len()).expect("bodies are limited to far less than 4 GiB");
            open.push(index);
            sizes.push(0);
        }
    }
    sizes
}

fn write_number(digits: &str, writer: &mut Writer) {
    match (digits.parse(), digits.parse()) {
        (Ok(natural), _) => writer.unsigned(natural),
        (_, Ok(negative @ ..=-1)) => writer.signed(negative),
        _ => writer.float(digits.parse().expect("every JSON number is a Rust float")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// A string, or the name of a property, between its quotes.
    Text(Escaped<'a>),
    BeginArray,
    BeginObject,
    /// The end of the innermost array or object.
    End,
}

/// A text with the escapes of JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Escaped<'a>(&'a str);

struct Tokens<'a> {
    rest: &'a str,
}

/// The tokens of `json`. Valid JSON needs no checks, and commas and colons carry no information.
fn tokens(json: &RawValue) -> Tokens<'_> {
    Tokens { rest: json.get() }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let text = self.rest.trim_start_matches([',', ':', ' ', '\n', '\r', '\t']);
        let (token, length) = match text.as_bytes().first()? {
            b'[' => (Token::BeginArray, 1),
            b'{' => (Token::BeginObject, 1),
            b']' | b'}' => (Token::End, 1),
            b'n' => (Token::Null, "null".len()),
            b't' => (Token::Bool(true), "true".len()),
            b'f' => (Token::Bool(false), "false".len()),
            b'"' => {
                let length = quoted_len(text);
                (Token::Text(Escaped(&text[1..length - 1])), length)
            }
            _ => {
                let length = text.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(text.len());
                (Token::Number(&text[..length]), length)
            }
        };
        self.rest = &text[length..];
        Some(token)
    }
}

/// The length in bytes of the string at the start of `text`, quotes included.
fn quoted_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

impl<'a> Escaped<'a> {
    /// Resolves the escapes. An unpaired surrogate becomes U+FFFD.
    fn unescape(self) -> Cow<'a, str> {
        let Self(mut rest) = self;
        if !rest.contains('\\') {
            return rest.into();
        }
        let mut text = String::with_capacity(rest.len());
        while let Some((plain, escape)) = rest.split_once('\\') {
            text.push_str(plain);
            let (character, length) = unescaped(escape);
            text.push(character);
            rest = &escape[length..];
        }
        text.push_str(rest);
        text.into()
    }
}

/// The character that the text after a backslash starts with, and its length in bytes.
fn unescaped(escape: &str) -> (char, usize) {
    let Some(unit) = code_unit(escape) else {
        let character = match escape.as_bytes().first() {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(&same) => char::from(same),
            None => return (char::REPLACEMENT_CHARACTER, 0),
        };
        return (character, 1);
    };
    let low = escape[5..].strip_prefix('\\').and_then(code_unit);
    match char::decode_utf16([unit].into_iter().chain(low)).next() {
        Some(Ok(character)) => (character, if character.len_utf16() == 2 { 11 } else { 5 }),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// The UTF-16 code unit of `uXXXX`.
fn code_unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rmpv::Value;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    fn messagepack(text: &str) -> Vec<u8> {
        let mut writer = Writer::new(0);
        write(&json(text), &mut writer);
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
    fn integers_stay_integers_and_other_numbers_become_floats() {
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
    fn half_a_million_levels_need_no_stack() {
        let levels = 500_000;
        let arrays = messagepack(&["[".repeat(levels), "]".repeat(levels)].concat());
        assert_eq!(arrays.len(), levels);
        assert_eq!((arrays[0], arrays[levels - 2], arrays[levels - 1]), (0x91, 0x91, 0x90));
        let objects = messagepack(&[r#"{"":"#.repeat(levels), "1".into(), "}".repeat(levels)].concat());
        assert_eq!(objects.len(), 2 * levels + 1);
    }

    /// The value that serde_json reads.
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
            serde_json::Value::Object(pairs) => {
                Value::Map(pairs.iter().map(|(name, value)| (name.as_str().into(), expected(value))).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn case_51_rmpv_reads_the_same_value(json in crate::protocol::test_support::json()) {
            for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                prop_assert_eq!(value(&text), expected(&json));
            }
        }
    }

    fn unescape(text: &str) -> String {
        let json = json(text);
        let Some(Token::Text(escaped)) = tokens(&json).next() else { panic!("{text}") };
        escaped.unescape().into_owned()
    }

    #[test]
    fn every_kind_of_token_is_found_with_and_without_space() {
        for text in [r#"[null,true,false,-1.5e3,{"a":"]"}]"#, " [ null , true,false\n,-1.5e3\t,{ \"a\" : \"]\" } ] "] {
            let json = json(text);
            assert_eq!(
                tokens(&json).collect::<Vec<_>>(),
                [
                    Token::BeginArray,
                    Token::Null,
                    Token::Bool(true),
                    Token::Bool(false),
                    Token::Number("-1.5e3"),
                    Token::BeginObject,
                    Token::Text(Escaped("a")),
                    Token::Text(Escaped("]")),
                    Token::End,
                    Token::End
                ]
            );
        }
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(unescape(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#), "\"\\/\u{8}\u{c}\n\r\té😀é");
    }

    #[test]
    fn an_unpaired_surrogate_becomes_a_replacement_character() {
        assert_eq!(unescape(r#""\ud83dx\ude00\ud83d\ud83d\ude00\ud83d\n""#), "\u{fffd}x\u{fffd}\u{fffd}😀\u{fffd}\n");
    }

    proptest! {
        #[test]
        fn any_text_is_unescaped_as_serde_does_it(text in any::<String>()) {
            let escaped = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn any_mix_of_escapes_is_unescaped_as_serde_does_it(
            parts in prop::collection::vec(r#"\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|[a-z"é]"#, 0..12),
        ) {
            let quoted = format!("\"{}\"", parts.concat());
            if let Ok(text) = serde_json::from_str::<String>(&quoted) {
                prop_assert_eq!(unescape(&quoted), text);
            } else if let Ok(json) = RawValue::from_string(quoted) {
                prop_assert_eq!(tokens(&json).count(), 1);
            }
        }
    }
}
