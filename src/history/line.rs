//! The lines of a part: its first line, and messages.

use std::borrow::Cow;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

use super::position::{PartNumber, Position};

/// The longest line of a message, with its line feed.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1_024;
/// More than the longest first line of a part, with its line feed.
pub(super) const MAX_FIRST_LINE_BYTES: u64 = 128;

pub(super) const LINE_FEED: u8 = b'\n';

/// The first line of a part, which connects it to the parts before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstLine {
    part: PartNumber,
    /// The end of the last part before this one that holds a message.
    previous: Option<PartEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartEnd {
    part: PartNumber,
    length: u64,
}

impl FirstLine {
    pub(super) fn new(part: PartNumber, previous: Option<Position>) -> Self {
        Self { part, previous: previous.map(|end| PartEnd { part: end.part, length: end.offset }) }
    }

    /// The line with its line feed.
    pub(super) fn to_bytes(self) -> Bytes {
        let mut line = serde_json::to_vec(&self).expect("numbers under text keys");
        line.push(LINE_FEED);
        line.into()
    }

    pub(super) fn previous(&self) -> Option<Position> {
        self.previous.map(|end| Position::new(end.part, end.length))
    }
}

/// How the messages of a part begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The length of the first line; 0 if the part has none, because another program wrote it.
    pub(super) length: u64,
    /// What the first line says about the part before.
    pub(super) previous: Option<Position>,
}

impl Head {
    pub(super) fn new(first: &FirstLine) -> Self {
        Self { length: first.to_bytes().len() as u64, previous: first.previous() }
    }

    /// The head of a part that begins with `bytes`, which are all or at least [`MAX_FIRST_LINE_BYTES`] of it.
    pub(super) fn parse(part: PartNumber, bytes: &[u8]) -> Self {
        let line_end = bytes.iter().position(|byte| *byte == LINE_FEED);
        let first = line_end.and_then(|end| serde_json::from_slice::<FirstLine>(&bytes[..end]).ok());
        match (first, line_end) {
            (Some(first), Some(end)) if first.part == part => {
                Self { length: end as u64 + 1, previous: first.previous() }
            }
            _ => Self { length: 0, previous: None },
        }
    }

    /// The position of a message that begins at `offset`. That of the first message is the end of the part before, so that positions of
    /// messages follow each other without a seam.
    pub(super) fn begin(&self, part: PartNumber, offset: u64) -> Position {
        match self.previous {
            Some(previous) if offset == self.length => previous,
            _ => Position::new(part, offset),
        }
    }

    /// The end of the last part up to this one that holds a message, if this one is sealed with this length.
    pub(super) fn end(&self, part: PartNumber, length: u64) -> Option<Position> {
        if length > self.length { Some(Position::new(part, length)) } else { self.previous }
    }
}

/// The fields of a message that the log itself reads.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct MessageFields<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) sender: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) recipient: Option<Cow<'a, str>>,
    #[serde(default, rename = "isGuest")]
    pub(super) is_guest: bool,
}

impl<'a> MessageFields<'a> {
    /// The fields of a line without its line feed; `None` if it is no message.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        // An array would do for serde.
        let line = std::str::from_utf8(line).ok().filter(|line| line.starts_with('{'))?;
        serde_json::from_str(line).ok()
    }
}

/// Splits off the complete lines of `bytes`, which begin at `offset` of their part. A line that does not end is left out.
pub(super) fn complete_lines(bytes: &[u8], offset: u64) -> impl DoubleEndedIterator<Item = Line<'_>> {
    let end = bytes.iter().rposition(|byte| *byte == LINE_FEED).map_or(0, |end| end + 1);
    let begin_of = move |line: &[u8]| line.as_ptr() as usize - bytes.as_ptr() as usize;
    bytes[..end]
        .split_inclusive(|byte| *byte == LINE_FEED)
        .map(move |line| Line { offset: offset + begin_of(line) as u64, content: &line[..line.len() - 1] })
}

/// A line and where it begins in its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) offset: u64,
    /// Without the line feed.
    pub(super) content: &'a [u8],
}

impl Line<'_> {
    /// Where the next line begins.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.content.len() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::position::{MAX_OFFSET, MAX_PART};
    use super::*;

    #[test]
    fn a_first_line_names_the_part_before() {
        let first = FirstLine::new(18, Some(Position::new(17, 689)));
        assert_eq!(first.to_bytes(), "{\"part\":18,\"previous\":{\"part\":17,\"length\":689}}\n");
        assert_eq!(FirstLine::new(17, None).to_bytes(), "{\"part\":17,\"previous\":null}\n");
        for first in
            [first, FirstLine::new(17, None), FirstLine::new(MAX_PART, Some(Position::new(MAX_PART, MAX_OFFSET)))]
        {
            assert!(first.to_bytes().len() < MAX_FIRST_LINE_BYTES as usize);
            assert_eq!(Head::parse(first.part, &first.to_bytes()), Head::new(&first));
        }
    }

    #[test]
    fn a_part_of_another_program_has_no_first_line() {
        let none = Head { length: 0, previous: None };
        for bytes in
            ["", "\n", "{\"part\":17,\"previous\":null}", "{\"part\":16,\"previous\":null}\n", "{\"id\":\"1\"}\n", "x"]
        {
            assert_eq!(Head::parse(17, bytes.as_bytes()), none, "{bytes}");
        }
        assert_eq!((none.begin(17, 0), none.end(17, 5)), (Position::new(17, 0), Some(Position::new(17, 5))));
    }

    #[test]
    fn only_the_first_message_of_a_part_begins_at_the_end_of_the_part_before() {
        let head = Head { length: 50, previous: Some(Position::new(16, 700)) };
        assert_eq!(head.begin(17, 50), Position::new(16, 700));
        assert_eq!(head.begin(17, 60), Position::new(17, 60));
        assert_eq!((head.end(17, 50), head.end(17, 60)), (head.previous, Some(Position::new(17, 60))));
        assert_eq!(Head { previous: None, ..head }.begin(17, 50), Position::new(17, 50));
    }

    #[test]
    fn half_a_line_is_left_out() {
        let lines: Vec<_> =
            complete_lines(b"one\n\ntwo\nthr", 10).map(|line| (line.offset, line.end(), line.content)).collect();
        assert_eq!(lines, [(10, 14, &b"one"[..]), (14, 15, b""), (15, 19, b"two")]);
        assert_eq!(complete_lines(b"one", 10).count(), 0);
    }

    #[test]
    fn a_message_has_an_id_a_sender_and_a_text() {
        let fields = MessageFields::parse(br#"{"id":"1","sender":"ann","text":"a\nb","isGuest":true}"#).unwrap();
        assert_eq!((&*fields.id, &*fields.sender, &*fields.text, fields.recipient), ("1", "ann", "a\nb", None));
        for line in [
            &b""[..],
            b"{}",
            b"[]",
            b"null",
            br#"{"id":"1","sender":"ann"}"#,
            b"{\"id\":\"\xff\",\"sender\":\"\",\"text\":\"\"}",
        ] {
            assert_eq!(MessageFields::parse(line), None);
        }
    }
}
