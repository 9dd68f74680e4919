//! Makes any text one line that shows as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most bytes of a line, without its line feed.
pub const MAX_LINE_BYTES: usize = 16 * 1_024;

/// Ends a line that was cut.
const CUT: char = '…';

/// The longest escape, like `\u2028`.
const MAX_ESCAPE_BYTES: usize = 6;

/// `line` without its final line feed, escaped and cut to [`MAX_LINE_BYTES`].
pub(crate) fn to_one_line(line: &[u8]) -> Cow<'_, [u8]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    // Without an early exit, so that the loop is vectorized.
    let is_plain = line.iter().fold(true, |plain, byte| plain & (0x20..0x7f).contains(byte));
    if is_plain && line.len() <= MAX_LINE_BYTES {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len().min(MAX_LINE_BYTES));
    for chunk in line.utf8_chunks() {
        let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for char in chunk.valid().chars().chain(replaced) {
            if escaped.len() + MAX_ESCAPE_BYTES + CUT.len_utf8() > MAX_LINE_BYTES {
                escaped.push(CUT);
                return Cow::Owned(escaped.into_bytes());
            }
            push_escaped(&mut escaped, char);
        }
    }
    Cow::Owned(escaped.into_bytes())
}

/// The escapes are those of JSON, so that they are right in both formats of a log.
fn push_escaped(line: &mut String, char: char) {
    match char {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        _ if char.is_control() || is_line_separator(char) || changes_direction(char) => {
            let _ = write!(line, "\\u{:04x}", u32::from(char));
        }
        _ => line.push(char),
    }
}

fn is_line_separator(char: char) -> bool {
    matches!(char, '\u{2028}' | '\u{2029}')
}

/// The characters with the Unicode property `Bidi_Control`: with them a line can show its parts in another order.
fn changes_direction(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_line(line: &str) -> String {
        String::from_utf8(to_one_line(line.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn what_could_forge_a_line_is_escaped_and_all_other_text_stays() {
        for (text, expected) in [
            ("GET /api/negotiate", "GET /api/negotiate"),
            ("a line\n", "a line"),
            ("Zoë, 李, 🦊, e\u{301}, \u{200d}", "Zoë, 李, 🦊, e\u{301}, \u{200d}"),
            ("", ""),
            ("a\nINFO forged", "a\\nINFO forged"),
            ("a\n\n", "a\\n"),
            ("a\r\nb\rc", "a\\r\\nb\\rc"),
            ("a\tb", "a\\tb"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u001b[2J\\u001b]0;title\\u0007"),
            ("\0\u{8}\u{b}\u{c}\u{7f}", "\\u0000\\u0008\\u000b\\u000c\\u007f"),
            ("\u{80}\u{85}\u{9b}31m", "\\u0080\\u0085\\u009b31m"),
            ("a\u{2028}b\u{2029}c", "a\\u2028b\\u2029c"),
            ("\u{202e}txt.exe\u{202c}", "\\u202etxt.exe\\u202c"),
            ("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}", "\\u2066a\\u2069\\u200e\\u200f\\u061c"),
        ] {
            assert_eq!(one_line(text), expected, "{text:?}");
        }
        assert_eq!(&*to_one_line(b"a\xff\xc3b"), "a\u{fffd}\u{fffd}b".as_bytes());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(one_line(&"x".repeat(MAX_LINE_BYTES)).len(), MAX_LINE_BYTES);
        for text in ["x", "ë", "李", "🦊", "\n", "\u{2028}"] {
            let line = one_line(&text.repeat(MAX_LINE_BYTES + 1));
            assert!(line.len() <= MAX_LINE_BYTES && line.len() > MAX_LINE_BYTES - 12, "{text:?}: {}", line.len());
            assert!(line.ends_with('…'), "{text:?}");
        }
    }
}
