//! Paths by segments: split first, decoded once, in that order, or `%2F` in a user id would become a border.

use percent_encoding::percent_decode_str;

/// A segment does not decode to UTF-8 text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotText;

/// The decoded segments of a path that begins with `/`. One slash at its end is tolerated.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, NotText> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(decode).collect()
}

fn decode(segment: &str) -> Result<String, NotText> {
    percent_decode_str(segment).decode_utf8().map(Into::into).map_err(|_| NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_decoded_once_and_never_split() {
        assert_eq!(segments("/users/a%2Fb%2525/:send").unwrap(), ["users", "a/b%25", ":send"]);
    }

    #[test]
    fn one_slash_at_the_end_is_tolerated_and_an_empty_segment_is_kept() {
        assert_eq!(segments("/a//b/").unwrap(), ["a", "", "b"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(segments("/%FF"), Err(NotText));
    }
}
