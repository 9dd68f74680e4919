//! Any text as the value of a header.
//!
//! Texts of strangers end up in headers, and not every text can: one with a line feed would begin another header.

use reqwest::header::HeaderValue;

/// Which characters of a text a header holds as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Ascii,
    /// What the service does with user ids, claims and events, and no other header.
    Utf8,
}

/// Makes a text fit for a header: control characters, white space at either end, and what is not in the character set
/// become `%XX` of their UTF-8 bytes. A `%` stays as it is, since receivers decode nothing: an escaped text cannot be
/// told from one that looked so before, but no text can end its header.
pub(super) fn header_value(text: &str, charset: Charset) -> HeaderValue {
    let inner = text.len() - text.trim_start_matches(' ').len()..text.trim_end_matches(' ').len();
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let holds = match character {
            ' ' => inner.contains(&at),
            character => !character.is_ascii_control() && (charset == Charset::Utf8 || character.is_ascii()),
        };
        if holds {
            escaped.push(character);
        } else {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).bytes();
            bytes.for_each(|byte| escaped.push_str(percent_encoding::percent_encode_byte(byte)));
        }
    }
    HeaderValue::from_bytes(escaped.as_bytes())
        .expect("control characters were escaped, and nothing else is refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn white_space_at_the_ends_is_not_lost() {
        let value = |text| header_value(text, Charset::Utf8);
        assert_eq!(value(" a b  "), "%20a b%20%20");
        assert_eq!(value("  "), "%20%20");
        assert_eq!(value("100%"), "100%");
        assert_eq!(value(""), "");
    }

    proptest! {
        #[test]
        fn any_text_makes_a_header(text in ".*|[\\x00-\\x7f]{0,20}") {
            for charset in [Charset::Ascii, Charset::Utf8] {
                let value = header_value(&text, charset);
                prop_assert!(value.as_bytes().iter().all(|byte| *byte >= b' ' && *byte != 0x7f));
                prop_assert_eq!(value.as_bytes().trim_ascii(), value.as_bytes());
                prop_assert!(charset == Charset::Utf8 || value.to_str().is_ok());
            }
        }
    }
}
