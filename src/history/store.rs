//! What the log needs of a storage service: append blobs and small documents, or files that behave like them.
//!
//! The log decides everything by the errors below, which are named after the codes that Azure Storage sends in `x-ms-error-code`, and by
//! the days that the store reports; it never reads a clock for them. A store does not repeat a call that changes something: the log does,
//! after it has found out what became of the first one. It may repeat calls that only read.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::body::Bytes;

use super::position::PartNumber;
use super::stream::Stream;

const SECONDS_PER_DAY: u64 = 86_400;

/// A storage service that keeps the parts of streams, and documents.
///
/// Every call may be abandoned: the log drops its future after a time-out, and treats the outcome as [`StoreError::Unknown`].
#[async_trait]
pub(crate) trait LogStore: fmt::Debug + Send + Sync {
    /// Lists the parts of a stream, in the order of their numbers. A stream without parts is an empty list and no error.
    ///
    /// Blobs whose names are not [`Stream::part_name`] of a number are left out. The list contains every part whose creation had succeeded
    /// before the call, and no part whose deletion had.
    async fn list(&self, stream: &Stream) -> Result<Listing, StoreError>;

    /// Creates an empty part, if there is none with this number. A part that exists is never emptied: `If-None-Match: *`.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] if there is one.
    async fn create(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError>;

    /// Appends `bytes` to a part, all or nothing: at its end, or only if its length is `at`.
    ///
    /// The call is made once. It may land after it was answered with [`StoreError::Unknown`], but not after the part has been sealed.
    ///
    /// # Errors
    ///
    /// [`StoreError::AppendPositionConditionNotMet`] if the length is not `at`, [`StoreError::BlobIsSealed`],
    /// [`StoreError::BlockCountExceedsLimit`], [`StoreError::BlobNotFound`].
    async fn append(
        &self,
        stream: &Stream,
        part: PartNumber,
        bytes: Bytes,
        at: Option<u64>,
    ) -> Result<Appended, StoreError>;

    /// Reads a range of a part, as far as the part has it. The end of the range is past its beginning. The range may begin at the end
    /// of the part or past it: no bytes, and no error (Azure Storage answers 416 or an empty 206).
    ///
    /// The part may grow during the call: there is no `If-Match`. Then [`Chunk::total`] is a length that it had during the call, and no
    /// byte before the smaller of `total` and the end of the range is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::BlobNotFound`].
    async fn read(&self, stream: &Stream, part: PartNumber, range: Range<u64>) -> Result<Chunk, StoreError>;

    /// Seals a part: no append lands after it. Sealing a sealed part succeeds.
    ///
    /// # Errors
    ///
    /// [`StoreError::BlobNotFound`].
    async fn seal(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError>;

    /// Deletes a part, sealed or not. Deleting a part that is gone succeeds.
    async fn delete(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError>;

    /// Lists at most `max` names of rooms, in the order of their names: the folders below `rooms/`, that of everyone included.
    async fn list_rooms(&self, max: usize) -> Result<Vec<String>, StoreError>;

    /// Reads the document `name`, whole; `None` if there is none.
    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError>;

    /// Replaces the document `previous`, or creates it where there was none: `If-Match`, `If-None-Match: *`. All or nothing. `false` if there
    /// is another one now, so a call that lands late does no harm.
    async fn replace_document(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: Option<&Document>,
    ) -> Result<bool, StoreError>;
}

/// A small file that is read and replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) content: Bytes,
    /// The `ETag` of a blob; `None` where documents are compared by their content.
    pub(crate) etag: Option<String>,
}

/// The parts of a stream at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// In the order of their numbers.
    pub(crate) parts: Vec<PartInfo>,
    /// The day of the list, by the clock of the storage: the header `Date`.
    pub(crate) day: Day,
}

/// A part in a [`Listing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartInfo {
    /// Its number.
    pub(crate) number: PartNumber,
    /// Its length in bytes at the time of the list.
    pub(crate) length: u64,
    /// Whether it is known to be sealed. `false` where the list does not say so.
    pub(crate) sealed: bool,
    /// The day on which it was created, by the clock of the storage.
    pub(crate) created: Day,
}

/// The result of a successful append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The length of the part before these bytes: `x-ms-blob-append-offset`.
    pub(crate) offset: u64,
    /// The day of the append, by the clock of the storage: the header `Date`.
    pub(crate) day: Day,
}

/// A piece of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The bytes of the range; fewer where the part ends before it does.
    pub(crate) bytes: Bytes,
    /// Whether the part was sealed when the bytes were read, so that `total` is final. Never `true` with an older `total`.
    pub(crate) sealed: bool,
    /// The length of the part.
    pub(crate) total: u64,
}

/// A day of the storage's clock, in UTC, as the number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) u32);

impl Day {
    /// The day of a time in seconds since 1970-01-01; 1970-01-01 for times before that.
    pub(crate) fn from_unix_seconds(seconds: i64) -> Self {
        let days = u64::try_from(seconds).unwrap_or_default() / SECONDS_PER_DAY;
        Self(u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// The day of a time.
    pub(crate) fn of(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}

/// Why a call of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The call may have been carried out, may still be, or may not: no response, a broken connection, a time-out, 500 or 503.
    #[error("the history store did not answer")]
    Unknown,
    /// There is such a part (`BlobAlreadyExists`).
    #[error("the part of the history exists")]
    AlreadyExists,
    /// The part has another length (`AppendPositionConditionNotMet`).
    #[error("the part of the history has another length")]
    AppendPositionConditionNotMet,
    /// The part is sealed (`BlobIsSealed`).
    #[error("the part of the history is sealed")]
    BlobIsSealed,
    /// The part takes no more appends (`BlockCountExceedsLimit`). It may not be sealed.
    #[error("the part of the history is full")]
    BlockCountExceedsLimit,
    /// There is no such part (`BlobNotFound`). A container that does not exist is [`StoreError::Rejected`].
    #[error("the part of the history does not exist")]
    BlobNotFound,
    /// The call was refused for now and certainly not carried out, for example with 429; when to try again. A 503 is
    /// [`StoreError::Unknown`].
    #[error("the history store is throttled")]
    Throttled(Option<Duration>),
    /// The call was certainly not carried out, for a reason that stays: the code, for the log (`AuthorizationPermissionMismatch`,
    /// `ContainerNotFound`, …).
    #[error("the history store rejects the call: {0}")]
    Rejected(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc() {
        for (seconds, day) in [(-1, 0), (0, 0), (86_399, 0), (86_400, 1), (1_795_305_600, 20_779), (i64::MAX, u32::MAX)]
        {
            assert_eq!(Day::from_unix_seconds(seconds), Day(day), "{seconds}");
        }
    }
}
