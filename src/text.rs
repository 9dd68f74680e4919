//! Rules for text that people write: line breaks, and which characters are visible.
//!
//! The page has the same rules. `tests/data/message-texts.json` has cases for both.
//!
//! Contract: [Unicode](https://www.unicode.org/versions/latest/) 5.8 (line breaks) and 5.21 (ignorable characters), and
//! [UAX #44](https://www.unicode.org/reports/tr44/) for the properties.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// CR, vertical tab, form feed, next line, line separator and paragraph separator.
const LINE_BREAKS: [char; 6] = ['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Characters whose glyph is blank although no property says so: Braille pattern blank, musical null notehead, Egyptian blanks.
const BLANKS: [char; 4] = ['\u{2800}', '\u{1d159}', '\u{13441}', '\u{13442}'];

/// `text` with a line feed for each line break of any kind.
pub(crate) fn normalize_line_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace(LINE_BREAKS, "\n")
}

/// Whether `text` has a character that a reader can see.
///
/// White space, control characters, default-ignorable and blank characters are invisible. So are marks, which have no shape of their
/// own without a base character.
pub(crate) fn is_visible(text: &str) -> bool {
    let is_ignorable = |c| CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    let is_mark = |c| GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c));
    let is_invisible =
        |c: char| c.is_whitespace() || c.is_control() || BLANKS.contains(&c) || is_ignorable(c) || is_mark(c);
    !text.chars().all(is_invisible)
}

/// Whether `text` fits into a line with other text: no control characters, no line breaks, and no bidirectional embedding, override or
/// isolate, which could change the order of the text after it.
pub(crate) fn is_inline(text: &str) -> bool {
    let is_bidirectional = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.contains(|c: char| c.is_control() || LINE_BREAKS.contains(&c) || is_bidirectional(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_visible_if_one_character_is() {
        for text in
            ["a", " a ", "\u{200b}a", "e\u{301}", "\u{2764}\u{fe0f}", "😀", "\u{600}", "\u{e000}", "\u{fffd}", "."]
        {
            assert!(is_visible(text), "{text:?}");
        }
        for text in
            ["", " ", "\n", "\0", "\u{200b}", "\u{ad}", "\u{3164}", "\u{2800}", "\u{fe0f}", "\u{e0041}", "\u{301}"]
        {
            assert!(!is_visible(text), "{text:?}");
        }
    }

    #[test]
    fn inline_text_has_no_line_break_and_leaves_the_order_of_other_text_alone() {
        for text in ["", "Zoë", "\u{5d0}\u{200f}!", "a\u{61c}b", "😀", "a\u{a0}b"] {
            assert!(is_inline(text), "{text:?}");
        }
        for text in
            ["a\nb", "a\tb", "a\u{85}b", "a\u{2028}b", "a\u{2029}b", "\u{7f}", "\u{202e}deZ", "\u{202a}", "\u{2066}"]
        {
            assert!(!is_inline(text), "{text:?}");
        }
    }
}
