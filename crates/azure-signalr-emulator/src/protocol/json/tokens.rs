//! The tokens of a JSON text that is known to be one.
//!
//! Being valid JSON, the text needs no checks here, nor commas and colons to be understood; whoever reads keeps track of
//! nesting as needed, on a heap of its own and not on the stack.

use std::borrow::Cow;

use serde_json::value::RawValue;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::protocol) enum Token<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    /// A string, or the name of a property, between its quotes.
    Text(Escaped<'a>),
    BeginArray,
    BeginObject,
    /// Of whatever began last.
    End,
}

/// A text with JSON's escapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::protocol) struct Escaped<'a>(&'a str);

pub(in crate::protocol) struct Tokens<'a> {
    rest: &'a str,
}

/// All tokens of `json`, in order.
pub(in crate::protocol) fn tokens(json: &RawValue) -> Tokens<'_> {
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
                let length = quoted(text);
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

/// Bytes of the string `text` begins with, quotes included.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

impl<'a> Escaped<'a> {
    /// The text that is meant. Half a surrogate pair, which JSON can spell but no text can hold, becomes U+FFFD.
    pub(in crate::protocol) fn unescape(self) -> Cow<'a, str> {
        let Self(mut rest) = self;
        if !rest.contains('\\') {
            return rest.into();
        }
        let mut text = String::with_capacity(rest.len());
        while let Some((plain, escape)) = rest.split_once('\\') {
            text.push_str(plain);
            let (meant, length) = character(escape);
            text.push(meant);
            rest = &escape[length..];
        }
        text.push_str(rest);
        text.into()
    }
}

/// The character that `escape`, which stands after a backslash, begins with; and its length in bytes.
fn character(escape: &str) -> (char, usize) {
    let Some(unit) = code_unit(escape) else {
        let meant = match escape.as_bytes().first() {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(&same) => char::from(same),
            None => return (char::REPLACEMENT_CHARACTER, 0),
        };
        return (meant, 1);
    };
    let low = escape[5..].strip_prefix('\\').and_then(code_unit);
    match char::decode_utf16([unit].into_iter().chain(low)).next() {
        Some(Ok(meant)) => (meant, if meant.len_utf16() == 2 { 11 } else { 5 }),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// What `uXXXX` stands for.
fn code_unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    fn unescaped(text: &str) -> String {
        let json = json(text);
        let Some(Token::Text(text)) = tokens(&json).next() else { panic!("{text}") };
        text.unescape().into_owned()
    }

    #[test]
    fn every_kind_of_token_is_found_with_and_without_space() {
        for text in
            [r#"[null,true,false,-1.5e3,{"a":"]"}]"#, " [ null , true,false\n,-1.5e3\t,{ \"a\" : \"]\" } ] "]
        {
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
    fn escapes_are_undone() {
        assert_eq!(unescaped(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#), "\"\\/\u{8}\u{c}\n\r\té😀é");
    }

    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        assert_eq!(
            unescaped(r#""\ud83dx\ude00\ud83d\ud83d\ude00\ud83d\n""#),
            "\u{fffd}x\u{fffd}\u{fffd}😀\u{fffd}\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_unescaped_as_serde_does_it(text in any::<String>()) {
            let escaped = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescaped(&escaped), text);
        }

        #[test]
        fn any_mix_of_escapes_is_unescaped_as_serde_does_it(
            parts in prop::collection::vec(r#"\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|[a-z"é]"#, 0..12),
        ) {
            let quoted = format!("\"{}\"", parts.concat());
            if let Ok(text) = serde_json::from_str::<String>(&quoted) {
                prop_assert_eq!(unescaped(&quoted), text);
            } else if let Ok(json) = RawValue::from_string(quoted) {
                prop_assert_eq!(tokens(&json).count(), 1);
            }
        }
    }
}
