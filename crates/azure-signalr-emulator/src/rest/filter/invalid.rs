//! What is wrong with a filter, and where.
//!
//! Places are counted in characters of the decoded filter, from 1, as an editor counts columns.

use std::fmt;

/// How much of what was found is repeated, in characters.
const LONGEST_QUOTE: usize = 24;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidFilter {
    /// Longer than the limit, in bytes.
    TooLong { limit: usize },
    /// Nested deeper than the limit, at the character.
    TooDeep { at: usize, limit: usize },
    /// A text whose closing quote is missing begins at the character.
    Unclosed { at: usize },
    /// Something else was expected at the character.
    Unexpected { at: usize, expected: &'static str, found: String },
}

impl InvalidFilter {
    /// `rest` is the filter from the offending character on.
    pub(super) fn unexpected(at: usize, expected: &'static str, rest: &str) -> Self {
        let end = rest.char_indices().nth(LONGEST_QUOTE).map_or(rest.len(), |(end, _)| end);
        let found = if rest.is_empty() { "the end".to_owned() } else { format!("`{}`", &rest[..end]) };
        Self::Unexpected { at, expected, found }
    }
}

impl fmt::Display for InvalidFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "the filter is longer than {limit} bytes"),
            Self::TooDeep { at, limit } => {
                write!(f, "the filter nests deeper than {limit} levels at character {at}")
            }
            Self::Unclosed { at } => write!(
                f,
                "the text that begins at character {at} of the filter has no closing quote; a quote in a text is written twice"
            ),
            Self::Unexpected { at, expected, found } => {
                write!(f, "character {at} of the filter: expected {expected}, found {found}")
            }
        }
    }
}
