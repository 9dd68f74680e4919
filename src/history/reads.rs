//! Reads of the store: those that are under way are shared, and the end of a stream is kept for a moment.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempts::Attempts;
use super::line::MAX_FIRST_LINE_BYTES;
use super::position::PartNumber;
use super::shared_reads::SharedReads;
use super::store::{Chunk, LogStore, PartInfo, StoreError};
use super::stream::Stream;
use super::tail::{KeptTails, Tail, TailEnd};

/// The longest that a read of the store may take, with its repetitions.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// What is read first; then twice as much each time.
pub(super) const FIRST_WINDOW_BYTES: u64 = 64 * 1_024;
/// How often a listing may be out of date when its last part is read.
const MAX_STALE_LISTINGS: usize = 3;

/// The reads of all streams. Those that are under way are shared.
#[derive(Debug)]
pub(super) struct Reads {
    store: Arc<dyn LogStore>,
    chunks: SharedReads<(Stream, PartNumber, Range<u64>), Result<Chunk, StoreError>>,
    loads: SharedReads<Stream, Result<Arc<Tail>, StoreError>>,
    pub(super) kept: KeptTails,
}

impl Reads {
    pub(super) fn new(store: Arc<dyn LogStore>) -> Self {
        Self { store, chunks: SharedReads::default(), loads: SharedReads::default(), kept: KeptTails::default() }
    }

    /// The tail that was kept, or else is read now.
    pub(super) async fn tail(&self, stream: &Stream, now: Instant) -> Result<Arc<Tail>, StoreError> {
        match self.kept.get(stream, now) {
            Some(tail) => Ok(tail),
            None => self.read_tail(stream, now).await,
        }
    }

    /// Reads the tail: one listing and one range.
    pub(super) async fn read_tail(&self, stream: &Stream, now: Instant) -> Result<Arc<Tail>, StoreError> {
        let load = async {
            let tail = Arc::new(self.load_tail(stream).await?);
            self.kept.keep(stream, tail.clone(), now);
            Ok(tail)
        };
        self.loads.get(stream.clone(), load).await
    }

    async fn load_tail(&self, stream: &Stream) -> Result<Tail, StoreError> {
        for _ in 0..MAX_STALE_LISTINGS {
            let mut parts = self.attempts().repeat(|| self.store.list(stream)).await?.parts;
            // An empty part has no position: it was just created, or by a process that was late.
            parts.retain(|part| part.length > 0);
            let parts: Arc<[PartInfo]> = parts.into();
            let Some(last) = parts.last() else { return Ok(Tail { parts, end: None }) };
            // Up to the end and what was appended since the listing.
            let begin = begin_of_window(last.length, FIRST_WINDOW_BYTES);
            let range = begin..last.length + FIRST_WINDOW_BYTES;
            match self.read(stream, last.number, range.clone()).await {
                Err(StoreError::BlobNotFound) => {}
                // So much was appended meanwhile that the end is not in the chunk.
                Ok(chunk) if chunk.bytes.len() as u64 == range.end - range.start => {}
                Ok(chunk) => {
                    let end = Some(TailEnd::new(last.number, begin, &chunk));
                    return Ok(Tail { parts, end });
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unknown)
    }

    /// Reads a range from the store, together with others that read the same range.
    async fn read(&self, stream: &Stream, part: PartNumber, range: Range<u64>) -> Result<Chunk, StoreError> {
        let key = (stream.clone(), part, range.clone());
        let read = async { self.attempts().repeat(|| self.store.read(stream, part, range.clone())).await };
        self.chunks.get(key, read).await
    }

    /// Reads a range, from the tail if it is there.
    pub(super) async fn chunk(
        &self,
        stream: &Stream,
        tail: &Tail,
        part: PartNumber,
        range: Range<u64>,
    ) -> Result<Chunk, StoreError> {
        let kept = tail.end.as_ref().filter(|end| end.part == part).and_then(|end| end.slice(range.start, range.end));
        match kept {
            Some(chunk) => Ok(chunk),
            None => self.read(stream, part, range).await,
        }
    }

    fn attempts(&self) -> Attempts {
        Attempts::until(Instant::now() + READ_TIMEOUT)
    }
}

/// Where a window before `end` begins: with the first line of the part, or behind it.
pub(super) fn begin_of_window(end: u64, window: u64) -> u64 {
    let begin = end.saturating_sub(window);
    if begin <= MAX_FIRST_LINE_BYTES { 0 } else { begin }
}
