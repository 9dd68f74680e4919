//! Reads the lines of a stream backwards, from a position or the end.

use super::line::{Head, LINE_FEED, MAX_FIRST_LINE_BYTES, complete_lines};
use super::position::Position;
use super::reads::{FIRST_WINDOW_BYTES, Reads, begin_of_window};
use super::scan::{Covered, FOLLOWED, MAX_WINDOW_BYTES, Next, ScanError, ScannedLine, is_line_end};
use super::store::StoreError;
use super::stream::Stream;
use super::tail::{Tail, TailEnd};

impl Reads {
    /// Gives `visit` the lines before `from`, or before the end of the stream, the newest first.
    pub(super) async fn backward(
        &self,
        stream: &Stream,
        tail: &Tail,
        from: Option<Position>,
        mut visit: impl FnMut(ScannedLine) -> Next + Send,
    ) -> Result<Covered, ScanError> {
        let beginning = Covered { end: None, more: false, lost: false };
        let last = tail.end.as_ref().map(TailEnd::end_of_bytes);
        let Some(start) = from.or(last) else { return Ok(beginning) };
        let Some(first) = tail.parts.iter().rposition(|part| part.number == start.part) else {
            return Ok(Covered { lost: true, ..beginning });
        };
        if start.offset == 0 {
            // Only a part of another program has a message there.
            match self.chunk(stream, tail, start.part, 0..MAX_FIRST_LINE_BYTES).await {
                Ok(chunk) if Head::parse(start.part, &chunk.bytes).length > 0 => {
                    return Err(ScanError::InvalidPosition);
                }
                Ok(_) => {}
                Err(StoreError::BlobNotFound) => return Ok(Covered { lost: true, ..beginning }),
                Err(error) => return Err(error.into()),
            }
        }
        let mut end = start.offset;
        for index in (0..=first).rev() {
            let part = tail.parts[index].number;
            let mut window = FIRST_WINDOW_BYTES;
            let mut check = from.is_some() && index == first;
            while end > 0 {
                let begin = match &tail.end {
                    Some(tail)
                        if window == FIRST_WINDOW_BYTES
                            && tail.part == part
                            && (tail.offset + 1..=tail.total()).contains(&end) =>
                    {
                        tail.offset
                    }
                    _ => begin_of_window(end, window),
                };
                let chunk = match self.chunk(stream, tail, part, begin..end).await {
                    Ok(chunk) => chunk,
                    // It has been deleted since the listing, and so have the parts before.
                    Err(StoreError::BlobNotFound) => return Ok(Covered { lost: check, ..beginning }),
                    Err(error) => return Err(error.into()),
                };
                if std::mem::take(&mut check) && !is_line_end(&chunk, begin, end) {
                    return Err(ScanError::InvalidPosition);
                }
                let head = if begin == 0 { Head::parse(part, &chunk.bytes) } else { FOLLOWED };
                let lines_begin = if begin == 0 { Some(0) } else { first_line_begin(&chunk.bytes) };
                let Some(lines_begin) = lines_begin else {
                    if window >= MAX_WINDOW_BYTES {
                        return Ok(Covered { lost: true, ..beginning });
                    }
                    window *= 2;
                    continue;
                };
                let lines = chunk.bytes.slice(lines_begin..);
                for line in complete_lines(&lines, begin + lines_begin as u64).rev() {
                    if line.offset < head.length {
                        continue;
                    }
                    let (place, line_end) = (head.begin(part, line.offset), line.end());
                    let is_first = index == 0 && line.offset == head.length;
                    match visit(ScannedLine::new(&lines, &line, part, &head)) {
                        Next::Continue => {}
                        Next::Stop if is_first => return Ok(beginning),
                        Next::Stop => return Ok(Covered { end: Some(place), more: true, lost: false }),
                        Next::StopBefore => {
                            let end = Some(Position::new(part, line_end));
                            return Ok(Covered { end, more: true, lost: false });
                        }
                    }
                }
                end = begin + lines_begin as u64;
                window = (window * 2).min(MAX_WINDOW_BYTES);
            }
            end = if index > 0 { tail.parts[index - 1].length } else { 0 };
        }
        Ok(beginning)
    }
}

/// Where the first line begins that begins in these bytes and not before.
fn first_line_begin(bytes: &[u8]) -> Option<usize> {
    let begin = bytes.iter().position(|byte| *byte == LINE_FEED)? + 1;
    (begin < bytes.len()).then_some(begin)
}
