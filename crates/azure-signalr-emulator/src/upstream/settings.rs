//! [`Setting`]: a JSON settings file, read as .NET configuration reads it.
//!
//! The provider `Microsoft.Extensions.Configuration.Json` skips comments, accepts a comma before a closing bracket, ignores the
//! letter case of keys, merges objects that have the same key, and rejects a value that is given twice. The rest is strict JSON.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of a settings file.
#[derive(Debug, PartialEq)]
pub(super) enum Setting {
    Null,
    Text(String),
    /// A number or a boolean.
    Other,
    Array(Vec<Setting>),
    Object(Object),
}

/// The values of an object by their keys in lower case.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Object(BTreeMap<String, Property>);

#[derive(Debug, PartialEq)]
struct Property {
    /// As it is written.
    key: String,
    value: Setting,
}

impl Setting {
    /// Parses a settings file.
    ///
    /// # Errors
    ///
    /// When the text is not JSON, or has a value twice: line, column and problem. Never repeats a value.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // .NET writes a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_slice(&without_comments(text)).map_err(|error| {
            let (line, column, problem) = (error.line(), error.column(), error.to_string());
            let place = format!(" at line {line} column {column}");
            format!("line {line}, column {column}: {}", problem.strip_suffix(&place).unwrap_or(&problem))
        })
    }
}

impl Object {
    /// The value of a key, in any letter case; `None` for `null`, too.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        let property = self.0.get(&key.to_ascii_lowercase())?;
        Some(&property.value).filter(|value| **value != Setting::Null)
    }

    /// The keys as they are written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|property| property.key.as_str())
    }

    /// Adds a value, or merges an object into the one that has its key. Fails with the key if it has another value.
    fn insert(&mut self, key: String, value: Setting) -> Result<(), String> {
        match self.0.entry(key.to_ascii_lowercase()) {
            Entry::Vacant(entry) => drop(entry.insert(Property { key, value })),
            Entry::Occupied(mut entry) => match (&mut entry.get_mut().value, value) {
                (Setting::Object(own), Setting::Object(other)) => {
                    other.0.into_values().try_for_each(|Property { key, value }| own.insert(key, value))?;
                }
                _ => return Err(key),
            },
        }
        Ok(())
    }
}

/// JSON without comments and trailing commas: spaces take their place, so that lines and columns stay the same.
fn without_comments(text: &str) -> Vec<u8> {
    let mut json = text.as_bytes().to_vec();
    let mut at = 0;
    // The last comma, if only white space and comments have followed it, and an element precedes it.
    let mut last_comma = None;
    let mut is_after_element = false;
    while at < json.len() {
        let rest = &json[at..];
        if let Some(length) = comment_length(rest) {
            json[at..at + length]
                .iter_mut()
                .filter(|byte| !matches!(byte, b'\n' | b'\r'))
                .for_each(|byte| *byte = b' ');
            at += length;
            continue;
        }
        let byte = rest[0];
        let length = if byte == b'"' { string_length(rest) } else { 1 };
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b',' => (last_comma, is_after_element) = (is_after_element.then_some(at), false),
            _ => {
                if let (b']' | b'}', Some(comma)) = (byte, last_comma) {
                    json[comma] = b' ';
                }
                (last_comma, is_after_element) = (None, !matches!(byte, b'[' | b'{' | b':'));
            }
        }
        at += length;
    }
    json
}

/// The length of the comment that `text` begins with. The end of a line is no part of it.
fn comment_length(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"//") {
        Some(text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len()))
    } else if text.starts_with(b"/*") {
        text[2..].windows(2).position(|end| end == b"*/").map(|position| position + 4)
    } else {
        None
    }
}

/// The length of the string that `text` begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = Setting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Setting, E> {
        Ok(Setting::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Setting, E> {
        Ok(Setting::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Setting, E> {
        Ok(Setting::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Setting, E> {
        Ok(Setting::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Setting, E> {
        Ok(Setting::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Setting, E> {
        Ok(Setting::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Setting, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Setting::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut properties: A) -> Result<Setting, A::Error> {
        let mut object = Object::default();
        while let Some((key, value)) = properties.next_entry::<String, _>()? {
            object
                .insert(key, value)
                .map_err(|key| Error::custom(format_args!("`{}` is given twice", shortened(&key))))?;
        }
        Ok(Setting::Object(object))
    }
}

/// The first characters of a name in a settings file, for messages.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn error(text: &str) -> String {
        Setting::parse(text).unwrap_err()
    }

    #[test]
    fn comments_and_trailing_commas_are_skipped() {
        let expected = Setting::parse(r#"{"a":["b",null],"c":{}}"#).unwrap();
        for text in [
            r#"{"a":["b",null],"c":{},}"#,
            r#"{"a":["b",null , ],"c":{}}"#,
            "// one\n{\"a\":[\"b\",null],\"c\":{}} // two",
            "// one\r{\"a\":[\"b\",null],\"c\":{}}//",
            r#"{"a":/* // " */["b"/**/,null,/*,*/],/***/"c":{/* */}, /* * / */ }/*é*/"#,
            "{\"a\":[\"b\",null], // ]\r\n\"c\":{},// é}\n}",
            "\u{feff}{\"a\":[\"b\",null],\"c\":{}}",
        ] {
            assert_eq!(Setting::parse(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn strings_hold_what_looks_like_comments_and_commas() {
        let text = r#"["http://h/,]", "/* */", "\"// ,]", "\\", "é//"]"#;
        let strings = ["http://h/,]", "/* */", "\"// ,]", "\\", "é//"];
        assert_eq!(Setting::parse(text), Ok(Setting::Array(strings.map(|text| Setting::Text(text.to_owned())).into())));
    }

    #[test]
    fn the_rest_is_strict_json() {
        for text in [
            "", "[,]", "{,}", "[1,,]", "[1,2,,3]", r#"{"a":,}"#, r#"{"a",}"#, "[1],", ",[1]", "[1,}", "[1] 2",
            "# c\n{}", "{'a':1}", "{a:1}", "[+1]", "[0x1]", "[NaN]", "[.5]", "/* {}", "{} /", "/ {}", "[1 /*",
            "\"a\nb\"", r#""\x41""#, "[1]\u{a0}", "[\"a", "[\"\\", "/*/ {}", "[tru,]",
        ] {
            assert!(Setting::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_have_a_place_after_comments_too() {
        assert_eq!(error("{ // é\n\"hush\": oops}"), "line 2, column 9: expected value");
        assert_eq!(error("/* \n */ {\"a\": 1, /* é */ \"a\": \"hush\"}"), "line 2, column 34: `a` is given twice");
    }

    #[test]
    fn keys_ignore_letter_case_and_objects_are_merged() {
        let Ok(Setting::Object(settings)) = Setting::parse(r#"{"A":{"b":{"c":1}},"a":{"B":{"d":"e"},"f":null}}"#)
        else {
            panic!("an object");
        };
        let Some(Setting::Object(a)) = settings.get("A") else { panic!("an object") };
        let Some(Setting::Object(b)) = a.get("b") else { panic!("an object") };
        assert_eq!((b.get("C"), b.get("D")), (Some(&Setting::Other), Some(&Setting::Text("e".to_owned()))));
        assert_eq!((a.get("f"), a.get("g")), (None, None));
        assert_eq!(b.keys().collect::<Vec<_>>(), ["c", "d"]);
    }

    #[test]
    fn a_value_that_is_given_twice_is_an_error() {
        for text in [
            r#"{"a":1,"A":2}"#, r#"{"a":1,"a":null}"#, r#"{"a":[],"a":[]}"#, r#"{"a":{},"a":1}"#,
            r#"[{"x":{"a":1},"X":{"A":1}}]"#,
        ] {
            assert!(error(text).to_lowercase().ends_with("`a` is given twice"), "{text}: {}", error(text));
        }
        assert!(
            error(&json!({"a": "hush"}).to_string().replace('}', r#","A":"hush"}"#)).ends_with("`A` is given twice")
        );
    }

    /// JSON without duplicate keys.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = r#"[/*,"\\\[\]{} a\né]{0,6}"#;
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text.prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            let key = text.prop_map(|key| key.to_ascii_lowercase());
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key, inner, 0..4)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    /// Writes JSON with a comment around each token and a comma after each element.
    fn write_with_comments(value: &Value, comment: &str, text: &mut String) {
        let (open, close) = match value {
            Value::Array(_) => ("[", "]"),
            Value::Object(_) => ("{", "}"),
            leaf => return *text += &[comment, &leaf.to_string(), comment].concat(),
        };
        *text += &[comment, open, comment].concat();
        for element in value.as_array().into_iter().flatten() {
            write_with_comments(element, comment, text);
            *text += ",";
        }
        for (key, element) in value.as_object().into_iter().flatten() {
            *text += &[comment, &Value::from(key.as_str()).to_string(), comment, ":"].concat();
            write_with_comments(element, comment, text);
            *text += ",";
        }
        *text += &[comment, close, comment].concat();
    }

    proptest! {
        #[test]
        fn json_stays_as_it_is(value in any_json()) {
            prop_assert_eq!(without_comments(&value.to_string()), value.to_string().into_bytes());
            let pretty = format!("{value:#}");
            prop_assert_eq!(without_comments(&pretty), pretty.into_bytes());
        }

        #[test]
        fn comments_and_trailing_commas_change_nothing(value in any_json(), comment in "/\\*[/,\"\\[\\]{}aé\n]{0,6}\\*/|//[/*,\"\\[\\]{}aé]{0,6}\r?\n") {
            let mut text = String::new();
            write_with_comments(&value, &comment, &mut text);
            prop_assert_eq!(Setting::parse(&text), Setting::parse(&value.to_string()), "{}", text);
        }
    }
}
