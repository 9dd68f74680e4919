//! The end of a stream as it was read last, which is kept for a moment: many pages ask for it at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use super::line::{Head, LINE_FEED};
use super::position::{PartNumber, Position};
use super::store::{Chunk, PartInfo};
use super::stream::Stream;

/// How long a tail is kept. Lines of other processes may be missing in it for as long.
const KEEP: Duration = Duration::from_secs(1);
/// The most tails that are kept.
const MAX_TAILS: usize = 64;
/// A longer tail is not kept. All are at most 16 MiB.
const MAX_TAIL_BYTES: usize = 256 * 1_024;

/// The parts of a stream, and the end of the last one.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// Without those that are empty.
    pub(super) parts: Arc<[PartInfo]>,
    /// `None` if there is no part.
    pub(super) end: Option<TailEnd>,
}

/// The end of a part.
#[derive(Clone, Debug)]
pub(super) struct TailEnd {
    pub(super) part: PartNumber,
    /// Where `bytes` begin: anywhere in a line.
    pub(super) offset: u64,
    /// To the end of the part, or to its last line feed if it is not sealed.
    pub(super) bytes: Bytes,
    pub(super) sealed: bool,
}

impl TailEnd {
    /// The end of a part from a chunk that begins at `offset` and reaches the part's end.
    pub(super) fn new(part: PartNumber, offset: u64, chunk: &Chunk) -> Self {
        let mut bytes = chunk.bytes.clone();
        if !chunk.sealed {
            bytes.truncate(bytes.iter().rposition(|byte| *byte == LINE_FEED).map_or(0, |end| end + 1));
        }
        Self { part, offset, bytes, sealed: chunk.sealed }
    }

    /// The offset at which the tail ends.
    pub(super) fn total(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Where the bytes end. If they are no message, that is not [`position`](Self::position).
    pub(super) fn end_of_bytes(&self) -> Position {
        Position::new(self.part, self.total())
    }

    /// The position of the end of the stream.
    pub(super) fn position(&self) -> Position {
        let head = (self.offset == 0).then(|| Head::parse(self.part, &self.bytes));
        head.and_then(|head| head.end(self.part, self.total())).unwrap_or(self.end_of_bytes())
    }

    /// The bytes of the part from `begin` to at most `end`, if they are in the tail.
    pub(super) fn slice(&self, begin: u64, end: u64) -> Option<Chunk> {
        let begin = usize::try_from(begin.checked_sub(self.offset)?).ok()?;
        let end = usize::try_from(end - self.offset).map_or(self.bytes.len(), |end| end.min(self.bytes.len()));
        let is_inside = begin <= self.bytes.len();
        is_inside.then(|| Chunk { bytes: self.bytes.slice(begin..end), sealed: self.sealed, total: self.total() })
    }
}

/// The tails that were read in the last second.
#[derive(Debug, Default)]
pub(super) struct KeptTails(Mutex<HashMap<Stream, (Instant, Arc<Tail>)>>);

impl KeptTails {
    pub(super) fn get(&self, stream: &Stream, now: Instant) -> Option<Arc<Tail>> {
        let tails = self.lock();
        let (read_at, tail) = tails.get(stream)?;
        (now.saturating_duration_since(*read_at) < KEEP).then(|| tail.clone())
    }

    pub(super) fn keep(&self, stream: &Stream, tail: Arc<Tail>, now: Instant) {
        let mut tails = self.lock();
        if tails.len() >= MAX_TAILS && !tails.contains_key(stream) {
            tails.retain(|_, (read_at, _)| now.saturating_duration_since(*read_at) < KEEP);
        }
        let length = tail.end.as_ref().map_or(0, |end| end.bytes.len());
        if length <= MAX_TAIL_BYTES && (tails.len() < MAX_TAILS || tails.contains_key(stream)) {
            tails.insert(stream.clone(), (now, tail));
        } else {
            tails.remove(stream);
        }
    }

    /// Adds a block that this process has appended, so that the next reader finds it. If the tail does not end where the block begins, it
    /// is not kept.
    pub(super) fn append(&self, stream: &Stream, begin: Position, block: &[u8], now: Instant) {
        let Position { part, offset } = begin;
        let mut tails = self.lock();
        let Some((read_at, tail)) = tails.get_mut(stream) else { return };
        match &tail.end {
            _ if now.saturating_duration_since(*read_at) >= KEEP => {}
            Some(end)
                if end.part == part && end.total() == offset && end.bytes.len() + block.len() <= MAX_TAIL_BYTES =>
            {
                let bytes = [&end.bytes, block].concat().into();
                let end = TailEnd { bytes, ..end.clone() };
                *tail = Arc::new(Tail { end: Some(end), parts: tail.parts.clone() });
                return;
            }
            // It was read after the block had been appended.
            Some(end) if end.part == part && end.total() > offset => return,
            _ => {}
        }
        tails.remove(stream);
    }

    pub(super) fn forget(&self, stream: &Stream) {
        self.lock().remove(stream);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Stream, (Instant, Arc<Tail>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
