//! Reads the lines of a stream forwards, from a position or the beginning.

use std::sync::Arc;

use tokio::time::Instant;

use super::line::{Head, MAX_FIRST_LINE_BYTES, complete_lines};
use super::position::{PartNumber, Position};
use super::reads::{FIRST_WINDOW_BYTES, Reads};
use super::scan::{Covered, FOLLOWED, MAX_WINDOW_BYTES, Next, ScanError, ScannedLine, is_line_end};
use super::store::{Chunk, StoreError};
use super::stream::Stream;
use super::tail::Tail;

/// A scan that is under way.
struct Forward {
    tail: Arc<Tail>,
    part: PartNumber,
    /// Where the next line begins; 0 before the first line of a part.
    offset: u64,
    /// At the beginning of a part: what its first line has to say about the part before. Otherwise lines are missing between them.
    expected: Option<Option<Position>>,
    covered: Covered,
    has_lines: bool,
}

impl Reads {
    /// Gives `visit` the lines after `from`, or all lines, the oldest first.
    ///
    /// Where lines are gone, it ends before the gap; the next scan, from there, begins behind the gap and says so.
    pub(super) async fn forward(
        &self,
        stream: &Stream,
        tail: &Arc<Tail>,
        from: Option<Position>,
        now: Instant,
        mut visit: impl FnMut(ScannedLine) -> Next + Send,
    ) -> Result<Covered, ScanError> {
        let covered = Covered { end: from, more: false, lost: false };
        let mut scan = Forward { tail: tail.clone(), part: 0, offset: 0, expected: None, covered, has_lines: false };
        let mut check = false;
        match from {
            Some(from) if tail.parts.iter().any(|part| part.number == from.part) => {
                (scan.part, scan.offset, check) = (from.part, from.offset, true);
            }
            _ => {
                scan.expected = from.map(Some);
                if !scan.enter_next(from.map_or(0, |from| from.part)) {
                    return Ok(Covered { lost: from.is_some(), ..covered });
                }
            }
        }
        let mut window = FIRST_WINDOW_BYTES;
        loop {
            // With the first line, or with the byte before the position, which has to be a line feed.
            let begin = if scan.offset <= MAX_FIRST_LINE_BYTES { 0 } else { scan.offset - 1 };
            let chunk = match self.chunk(stream, &scan.tail, scan.part, begin..begin + window).await {
                Ok(chunk) => chunk,
                // It has been deleted since the listing.
                Err(StoreError::BlobNotFound) => {
                    scan.expected.get_or_insert(scan.covered.end);
                    (scan.tail, check) = (self.read_tail(stream, now).await?, false);
                    if !scan.enter_next(scan.part) {
                        return Ok(scan.before_gap());
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let head = if begin == 0 { Head::parse(scan.part, &chunk.bytes) } else { FOLLOWED };
            if std::mem::take(&mut check) && !scan.is_valid(&chunk, begin, &head) {
                return Err(ScanError::InvalidPosition);
            }
            if scan.offset == 0 && head.length > 0 {
                scan.offset = head.length;
                let is_gap = scan.expected.take().is_some_and(|expected| head.previous != expected);
                if is_gap && scan.has_lines {
                    return Ok(scan.before_gap());
                }
                scan.covered.lost |= is_gap;
                scan.covered.end.get_or_insert(Position::new(scan.part, head.length));
            }
            let unread = scan.offset;
            if let Some(covered) = scan.visit_lines(&chunk, begin, &head, &mut visit) {
                return Ok(covered);
            }
            let has_ended = (chunk.bytes.len() as u64) < window;
            if has_ended && !chunk.sealed {
                return Ok(scan.covered);
            }
            if has_ended {
                let end = Position::new(scan.part, chunk.total);
                scan.expected = Some(if begin == 0 { head.end(scan.part, chunk.total) } else { Some(end) });
                window = FIRST_WINDOW_BYTES;
                if !scan.enter_next(scan.part) {
                    scan.tail = self.read_tail(stream, now).await?;
                    if !scan.enter_next(scan.part) {
                        return Ok(scan.covered);
                    }
                }
            } else if scan.offset == unread && window >= MAX_WINDOW_BYTES {
                // A line that is longer than any of the log.
                return Ok(Covered { lost: true, ..scan.covered });
            } else {
                window = (window * 2).min(MAX_WINDOW_BYTES);
            }
        }
    }
}

impl Forward {
    /// Goes to the lowest part above this number. `false` if the listing has none.
    fn enter_next(&mut self, part: PartNumber) -> bool {
        let next = self.tail.parts.iter().find(|other| other.number > part);
        if let Some(next) = next {
            (self.part, self.offset) = (next.number, 0);
        }
        next.is_some()
    }

    /// The result where the next lines are gone.
    fn before_gap(&self) -> Covered {
        Covered { more: self.has_lines, lost: !self.has_lines, ..self.covered }
    }

    /// Whether a line begins or ends at the offset. The chunk begins at `begin`, at most one byte before it or with the first line.
    fn is_valid(&self, chunk: &Chunk, begin: u64, head: &Head) -> bool {
        let length = usize::try_from(self.offset - begin).unwrap_or(usize::MAX).min(chunk.bytes.len());
        let before = Chunk { bytes: chunk.bytes.slice(..length), ..*chunk };
        self.offset >= head.length && is_line_end(&before, begin, self.offset)
    }

    /// Visits the complete lines of a chunk. The result, if no more lines are needed.
    fn visit_lines(
        &mut self,
        chunk: &Chunk,
        begin: u64,
        head: &Head,
        visit: &mut impl FnMut(ScannedLine) -> Next,
    ) -> Option<Covered> {
        let visited = usize::try_from(self.offset - begin).unwrap_or(usize::MAX).min(chunk.bytes.len());
        let lines = chunk.bytes.slice(visited..);
        for line in complete_lines(&lines, self.offset) {
            let next = visit(ScannedLine::new(&lines, &line, self.part, head));
            if next == Next::StopBefore {
                return Some(Covered { more: true, ..self.covered });
            }
            self.offset = line.end();
            self.covered.end = Some(Position::new(self.part, line.end()));
            self.has_lines = true;
            if next == Next::Stop {
                let is_end = chunk.total <= self.offset && !chunk.sealed;
                return Some(Covered { more: !is_end, ..self.covered });
            }
        }
        None
    }
}
