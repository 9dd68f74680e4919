//! Appends blocks of lines to a stream: finds its last part, begins new ones, and finds out what became of calls without an answer.
//!
//! The invariants, which hold with any number of processes, and if any call is lost or ends a process:
//! - A part gets its first line only when all lower parts have been sealed, so that the length in it is final.
//! - Only a part that has its first line is sealed.
//! - An operation whose append may still land in a part leaves it only after it has sealed it and then read it to its end.
//! - Numbers of parts only go up.

use axum::body::Bytes;

use super::attempts::Attempts;
use super::line::{FirstLine, Head, LINE_FEED, MAX_FIRST_LINE_BYTES};
use super::position::{MAX_PART, PartNumber, Position};
use super::store::{Appended, Day, Listing, LogStore, PartInfo, StoreError};
use super::stream::Stream;

/// Each day has this many numbers for the first part of a stream that has none, above those of the days before.
const PARTS_PER_DAY: PartNumber = 1_000;
/// A part of this length gets no more lines, so that all offsets fit into a position.
const MAX_PART_BYTES: u64 = 8 << 30;
/// How much is read at a time where a lost append is looked for.
const LOOK_BYTES: u64 = 4 << 20;
/// Listings without a delay, in which a part is usually found.
const EAGER_LISTINGS: u32 = 3;

/// What a process remembers of a stream between two operations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    last: Option<LastPart>,
    /// This part and lower ones get no more lines. 0: there is none.
    left: PartNumber,
}

impl Memory {
    /// Forgets the last part, which the next operation looks for.
    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }
}

/// The part that lines are appended to. It has its first line.
#[derive(Clone, Copy, Debug)]
struct LastPart {
    number: PartNumber,
    created: Day,
    /// `None` where it is known to be followed by messages.
    head: Option<Head>,
    /// The part has at least this length; what was appended later is not known.
    end: u64,
    /// The next line begins a new part.
    is_over: bool,
}

/// Where a block of lines is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    part: PartNumber,
    offset: u64,
    head: Option<Head>,
}

impl Block {
    /// The position of a message that begins this far into the block.
    pub(super) fn begin(&self, inside: usize) -> Position {
        let offset = self.offset + inside as u64;
        self.head.map_or(Position::new(self.part, offset), |head| head.begin(self.part, offset))
    }

    /// The position of the end of a line this far into the block.
    pub(super) fn end(&self, inside: usize) -> Position {
        Position::new(self.part, self.offset + inside as u64)
    }
}

/// One operation on a stream.
pub(super) struct Writer<'a> {
    store: &'a dyn LogStore,
    stream: &'a Stream,
    memory: &'a mut Memory,
    attempts: Attempts,
}

/// What became of an append without an answer.
enum Look {
    /// The block begins here.
    Found(u64),
    /// The block is not in the part before this length.
    Absent(u64),
}

impl<'a> Writer<'a> {
    pub(super) fn new(store: &'a dyn LogStore, stream: &'a Stream, memory: &'a mut Memory, attempts: Attempts) -> Self {
        Self { store, stream, memory, attempts }
    }

    /// Appends whole lines as one block.
    ///
    /// # Errors
    ///
    /// If there was no certainty in time, or the store rejects a call. In both cases the block may have been appended.
    pub(super) async fn append(&mut self, block: &Bytes) -> Result<Block, StoreError> {
        let (store, stream) = (self.store, self.stream);
        // Since an attempt was lost: the part does not contain the block before this offset.
        let mut searched: Option<u64> = None;
        loop {
            let last = self.last_part().await?;
            let outcome = self.attempts.once(store.append(stream, last.number, block.clone(), searched)).await;
            let error = match outcome {
                Ok(appended) => return Ok(self.appended(&last, appended, block)),
                Err(error) => error,
            };
            if error == StoreError::Unknown {
                searched.get_or_insert(last.end);
            }
            // Sealed before it is read: until then a lost attempt can still land.
            let is_full = error == StoreError::BlockCountExceedsLimit;
            if is_full && !self.seal(last.number).await? || error == StoreError::BlobNotFound {
                searched = self.leave(last.number);
                continue;
            }
            if let Some(from) = searched {
                match self.look(last.number, from, block).await {
                    Ok(Look::Found(offset)) => {
                        let found = Appended { offset, day: last.created };
                        return Ok(self.appended(&last, found, block));
                    }
                    Ok(Look::Absent(end)) => searched = Some(end),
                    Err(StoreError::BlobNotFound) => {
                        searched = self.leave(last.number);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            match error {
                StoreError::BlobIsSealed | StoreError::BlockCountExceedsLimit => searched = self.leave(last.number),
                StoreError::AppendPositionConditionNotMet if searched.is_some() => {}
                StoreError::Unknown => self.attempts.wait(None, error).await?,
                StoreError::Throttled(wait) => self.attempts.wait(wait, error).await?,
                _ => return Err(error),
            }
        }
    }

    /// Begins a new part, and returns its number. All lower parts are sealed then.
    pub(super) async fn begin_part(&mut self) -> Result<PartNumber, StoreError> {
        let last = self.last_part().await?;
        self.roll_over(last.number).await?;
        Ok(self.last_part().await?.number)
    }

    fn appended(&mut self, last: &LastPart, appended: Appended, block: &Bytes) -> Block {
        let Appended { offset, day } = appended;
        let end = last.end.max(offset + block.len() as u64);
        let is_over = day > last.created || end >= MAX_PART_BYTES;
        self.memory.last = Some(LastPart { end, is_over, ..*last });
        Block { part: last.number, offset, head: last.head }
    }

    /// Searches the part for the block, from an offset at which a line begins to its end.
    async fn look(&mut self, part: PartNumber, from: u64, block: &[u8]) -> Result<Look, StoreError> {
        let (store, stream) = (self.store, self.stream);
        let (mut bytes, mut begin, mut at_line) = (Vec::new(), from, true);
        loop {
            let end = begin + bytes.len() as u64;
            let chunk = self.attempts.repeat(|| store.read(stream, part, end..end + LOOK_BYTES)).await?;
            bytes.extend_from_slice(&chunk.bytes);
            if let Some(index) = find_lines(&bytes, block, at_line) {
                return Ok(Look::Found(begin + index as u64));
            }
            if (chunk.bytes.len() as u64) < LOOK_BYTES {
                return Ok(Look::Absent(end + chunk.bytes.len() as u64));
            }
            let searched = bytes.len().saturating_sub(block.len());
            if searched > 0 {
                (begin, at_line) = (begin + searched as u64, bytes[searched - 1] == LINE_FEED);
                bytes.drain(..searched);
            }
        }
    }

    /// The part that the next line is appended to. It is looked for if it is not remembered.
    async fn last_part(&mut self) -> Result<LastPart, StoreError> {
        loop {
            match self.memory.last {
                Some(last) if !last.is_over => return Ok(last),
                Some(last) => self.roll_over(last.number).await?,
                None => {
                    let last = self.find().await?;
                    self.memory.left = self.memory.left.max(last.number - 1);
                    self.memory.last = Some(last);
                }
            }
        }
    }

    /// Seals a part that has its first line, and leaves it.
    async fn roll_over(&mut self, part: PartNumber) -> Result<(), StoreError> {
        self.seal(part).await?;
        self.leave(part);
        Ok(())
    }

    /// Remembers that a part gets no more lines. No attempt is lost in the next part: `None`.
    fn leave(&mut self, part: PartNumber) -> Option<u64> {
        self.memory.last = None;
        self.memory.left = self.memory.left.max(part);
        None
    }

    /// Seals a part that has its first line. `false` if it is gone.
    async fn seal(&mut self, part: PartNumber) -> Result<bool, StoreError> {
        let (store, stream) = (self.store, self.stream);
        match self.attempts.repeat(|| store.seal(stream, part)).await {
            Ok(()) => Ok(true),
            Err(StoreError::BlobNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Finds the last part, above those that were left. Creates it if there is none, and gives it its first line.
    async fn find(&mut self) -> Result<LastPart, StoreError> {
        let (store, stream) = (self.store, self.stream);
        for listings in 1.. {
            if listings > EAGER_LISTINGS {
                self.attempts.wait(None, StoreError::Unknown).await?;
            }
            let listing = self.attempts.repeat(|| store.list(stream)).await?;
            let above = listing.parts.last().filter(|part| part.number > self.memory.left);
            let entered = match above {
                None => {
                    self.create_next(&listing).await?;
                    continue;
                }
                Some(part) if part.length > 0 => self.enter(*part, listing.day).await,
                Some(part) => self.write_first_lines(*part, &listing).await,
            };
            match (entered, above) {
                (Ok(Some(last)), _) => return Ok(last),
                // Its number is not used again.
                (Err(StoreError::BlobNotFound), Some(gone)) => drop(self.leave(gone.number)),
                // The parts have changed since the listing.
                (Ok(None), _) => {}
                (Err(error), _) => return Err(error),
            }
        }
        Err(StoreError::Unknown)
    }

    /// Creates the part after those that were left; for a stream without parts, the first of the day.
    async fn create_next(&mut self, listing: &Listing) -> Result<(), StoreError> {
        let (store, stream) = (self.store, self.stream);
        let next = match (self.memory.left, listing.parts.is_empty()) {
            (left, true) => listing.day.0.saturating_mul(PARTS_PER_DAY).max(left.saturating_add(1)),
            (left, false) => left.saturating_add(1),
        };
        if next > MAX_PART {
            return Err(StoreError::Rejected("no number is left for a part".to_owned()));
        }
        match self.attempts.repeat(|| store.create(stream, next)).await {
            Ok(()) | Err(StoreError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The last part, which is not empty.
    async fn enter(&mut self, part: PartInfo, today: Day) -> Result<Option<LastPart>, StoreError> {
        let (store, stream) = (self.store, self.stream);
        let begin = part.length.saturating_sub(MAX_FIRST_LINE_BYTES);
        let tail = self.attempts.repeat(|| store.read(stream, part.number, begin..part.length)).await?;
        let head = (begin == 0).then(|| Head::parse(part.number, &tail.bytes));
        let holds_message = head.is_none_or(|head| part.length > head.length);
        // Another program may have left half a line, which would spoil the next one.
        let is_torn = tail.bytes.last() != Some(&LINE_FEED);
        let is_over = is_torn || part.length >= MAX_PART_BYTES || holds_message && part.created < today;
        Ok(Some(LastPart { number: part.number, created: part.created, head, end: part.length, is_over }))
    }

    /// Gives the last part, which is empty, its first line, after lower parts have got theirs and have been sealed.
    ///
    /// A writer that created the part late, after higher ones had come and gone, must not fork the chain: so the listing is newer than
    /// the part, and its last part is this one. `None` if the parts have changed since.
    async fn write_first_lines(&mut self, last: PartInfo, listing: &Listing) -> Result<Option<LastPart>, StoreError> {
        let lower = &listing.parts[..listing.parts.len() - 1];
        // Below a part with a first line, all parts are sealed.
        let begun = lower.iter().rposition(|part| part.length > 0);
        let mut previous = None;
        for part in &lower[begun.unwrap_or(0)..] {
            let mut is_sealed = part.sealed;
            if part.length == 0 {
                match self.write_first_line(part.number, previous).await {
                    Ok(_) => {}
                    Err(StoreError::BlobIsSealed) => is_sealed = true,
                    Err(StoreError::Unknown | StoreError::AppendPositionConditionNotMet | StoreError::BlobNotFound) => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
            if !is_sealed && !self.seal(part.number).await? {
                return Ok(None);
            }
            // Others may have appended to it before it was sealed.
            let Some(end) = self.sealed_end(part.number, previous).await? else { return Ok(None) };
            previous = end;
        }
        match self.write_first_line(last.number, previous).await {
            Ok(head) => {
                let end = head.length;
                Ok(Some(LastPart { number: last.number, created: last.created, head: Some(head), end, is_over: false }))
            }
            Err(StoreError::BlobIsSealed) => {
                self.leave(last.number);
                Ok(None)
            }
            Err(StoreError::Unknown | StoreError::AppendPositionConditionNotMet) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write_first_line(&mut self, part: PartNumber, previous: Option<Position>) -> Result<Head, StoreError> {
        let (store, stream) = (self.store, self.stream);
        let first = FirstLine::new(part, previous);
        match self.attempts.once(store.append(stream, part, first.to_bytes(), Some(0))).await {
            Ok(_) => Ok(Head::new(&first)),
            Err(StoreError::Throttled(wait)) => {
                self.attempts.wait(wait, StoreError::Throttled(wait)).await?;
                Err(StoreError::Unknown)
            }
            Err(error) => Err(error),
        }
    }

    /// Where the messages up to a sealed part end, `None` in it if there are none. `None` if the part is not sealed, or gone.
    async fn sealed_end(
        &mut self,
        part: PartNumber,
        previous: Option<Position>,
    ) -> Result<Option<Option<Position>>, StoreError> {
        let (store, stream) = (self.store, self.stream);
        match self.attempts.repeat(|| store.read(stream, part, 0..MAX_FIRST_LINE_BYTES)).await {
            Ok(chunk) if !chunk.sealed => Ok(None),
            // The log does not seal such a part, and it holds no message.
            Ok(chunk) if chunk.total == 0 => Ok(Some(previous)),
            Ok(chunk) => Ok(Some(Head::parse(part, &chunk.bytes).end(part, chunk.total))),
            Err(StoreError::BlobNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The index at which these lines begin, if that is where a line begins.
fn find_lines(bytes: &[u8], lines: &[u8], at_line: bool) -> Option<usize> {
    let after_line_feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == LINE_FEED).map(|(index, _)| index + 1);
    let begins = at_line.then_some(0).into_iter().chain(after_line_feeds);
    begins.into_iter().find(|begin| bytes[*begin..].starts_with(lines))
}
