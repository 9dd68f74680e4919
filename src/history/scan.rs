//! What scans of a stream have in common: lines, where they are, and how far a scan has come.

use axum::body::Bytes;

use super::line::{Head, LINE_FEED, Line};
use super::position::{PartNumber, Position};
use super::store::{Chunk, StoreError};

/// The most that is read at once. A longer line ends a scan.
pub(super) const MAX_WINDOW_BYTES: u64 = 1 << 20;

/// The head of a part in which other messages come first.
pub(super) const FOLLOWED: Head = Head { length: 0, previous: None };

/// Why a scan does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScanError {
    /// No line begins or ends there.
    InvalidPosition,
    Store(StoreError),
}

impl From<StoreError> for ScanError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A complete line and its place.
#[derive(Clone, Debug)]
pub(super) struct ScannedLine {
    pub(super) begin: Position,
    pub(super) end: Position,
    /// Without the line feed.
    pub(super) content: Bytes,
}

/// Whether a scan goes on after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Continue,
    /// The line was the last one that was needed.
    Stop,
    /// The line is not covered by the scan.
    StopBefore,
}

/// What a scan has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covered {
    /// Where it ended; `None` at the beginning of the stream.
    pub(super) end: Option<Position>,
    /// There are, or may be, more lines in its direction.
    pub(super) more: bool,
    /// Lines between its beginning and its end are gone.
    pub(super) lost: bool,
}

/// Whether a line ends at `end`, if the chunk is what the part has from `begin` to `end`.
pub(super) fn is_line_end(chunk: &Chunk, begin: u64, end: u64) -> bool {
    let is_complete = chunk.bytes.len() as u64 == end - begin;
    let is_end_of_part = chunk.sealed && chunk.total == end;
    is_complete && (end == 0 || is_end_of_part || chunk.bytes.last() == Some(&LINE_FEED))
}

impl ScannedLine {
    pub(super) fn new(lines: &Bytes, line: &Line<'_>, part: PartNumber, head: &Head) -> Self {
        let content = lines.slice_ref(line.content);
        Self { begin: head.begin(part, line.offset), end: Position::new(part, line.end()), content }
    }
}
