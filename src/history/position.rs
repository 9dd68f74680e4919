//! Where a line of a stream begins or ends: the number of its part, and the offset in it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The number of a part within its stream. Numbers count up and are never used twice.
pub(crate) type PartNumber = u32;

const PART_DIGITS: usize = 8;
const OFFSET_DIGITS: usize = 10;
/// The largest number of a part that a name can contain.
pub(super) const MAX_PART: PartNumber = 99_999_999;
/// The largest offset that a position can contain.
#[cfg(test)]
pub(super) const MAX_OFFSET: u64 = 9_999_999_999;

/// A place in a stream, between two lines. Its text is `{part:08}.{offset:010}`; positions of one stream compare as their texts do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    /// The part.
    pub(crate) part: PartNumber,
    /// The bytes of the part before this place.
    pub(crate) offset: u64,
}

impl Position {
    pub(super) fn new(part: PartNumber, offset: u64) -> Self {
        Self { part, offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0PART_DIGITS$}.{:0OFFSET_DIGITS$}", self.part, self.offset)
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is eight digits, a dot and ten digits")]
pub(crate) struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (part, offset) = text.split_once('.').ok_or(InvalidPosition)?;
        let part = parse_digits(part, PART_DIGITS).and_then(|part| PartNumber::try_from(part).ok());
        let offset = parse_digits(offset, OFFSET_DIGITS);
        Ok(Self { part: part.ok_or(InvalidPosition)?, offset: offset.ok_or(InvalidPosition)? })
    }
}

/// The number in a text of exactly so many ASCII digits.
fn parse_digits(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The name of a part within its stream: `{number:08}.jsonl`.
pub(super) fn part_file_name(part: PartNumber) -> String {
    format!("{part:0PART_DIGITS$}.jsonl")
}

/// The number of the part with this name; `None` for names of other files.
pub(super) fn parse_part_file_name(name: &str) -> Option<PartNumber> {
    parse_digits(name.strip_suffix(".jsonl")?, PART_DIGITS)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_text_of_fixed_length() {
        let position = Position::new(17, 689);
        assert_eq!(position.to_string(), "00000017.0000000689");
        assert_eq!(position.to_string().parse(), Ok(position));
        let last = Position::new(MAX_PART, MAX_OFFSET);
        assert_eq!(last.to_string().parse(), Ok(last));
    }

    #[test]
    fn other_texts_are_no_positions() {
        for text in [
            "", ".", "17.689", "00000017", "00000017.", "00000017.000000068", "0000017.0000000689",
            "00000017.00000006890", "00000017-0000000689", "+0000017.0000000689", "00000017.+000000689",
            " 0000017.0000000689", "00000017.0000000689 ", "00000017.0000000689.0", "0000001٧.0000000689", "null",
        ] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text:?}");
        }
    }

    #[test]
    fn positions_compare_as_their_texts() {
        let positions = [Position::new(9, 9_999), Position::new(10, 0), Position::new(10, 9), Position::new(10, 10)];
        assert!(positions.is_sorted());
        assert!(positions.map(|position| position.to_string()).is_sorted());
    }

    #[test]
    fn only_names_of_parts_are_parts() {
        assert_eq!(part_file_name(17), "00000017.jsonl");
        assert_eq!(parse_part_file_name("00000017.jsonl"), Some(17));
        for name in ["17.jsonl", "00000017", "00000017.json", "000000017.jsonl", "x0000017.jsonl", "00000017.jsonl~"] {
            assert_eq!(parse_part_file_name(name), None, "{name}");
        }
    }
}
