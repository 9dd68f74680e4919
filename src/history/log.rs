//! The log: appends lines, reads pages, removes messages and erases streams.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::appender::{Appender, Place};
use super::attempts::Attempts;
use super::line::MessageFields;
use super::page::{Cursor, Filter, Page, PageBuilder};
use super::position::Position;
use super::reads::Reads;
use super::removals::{Removals, RemovedMessages};
use super::scan::{Next, ScanError};
use super::store::{LogStore, StoreError};
use super::stream::Stream;
use super::tail::Tail;
use super::writer::{Memory, Writer};

/// The longest that an erasure takes. It can be repeated.
const ERASE_TIMEOUT: Duration = Duration::from_secs(10);
const LIST_TIMEOUT: Duration = Duration::from_secs(3);

/// The log of all streams in a store. Clones share what is waiting and what was read.
#[derive(Clone, Debug)]
pub(crate) struct HistoryLog {
    store: Arc<dyn LogStore>,
    appender: Appender,
    reads: Arc<Reads>,
    removals: Arc<Removals>,
}

/// Why a call of the log failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The position is not in the stream.
    #[error("the position is none of this history")]
    InvalidCursor,
    /// The message is another person's, or a guest's.
    #[error("only its sender removes a message")]
    NotSender,
    /// The store failed, or did not answer in time. What was to be written may have been.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

impl From<ScanError> for HistoryError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::InvalidPosition => Self::InvalidCursor,
            ScanError::Store(error) => Self::Unavailable(error),
        }
    }
}

impl HistoryLog {
    pub(crate) fn new(store: Arc<dyn LogStore>) -> Self {
        let reads = Arc::new(Reads::new(store.clone()));
        Self { appender: Appender::new(store.clone(), reads.clone()), reads, store, removals: Arc::default() }
    }

    /// Appends a message, a JSON object without a line feed, within 3 s. It may be appended although the future is dropped.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Unavailable`]: the message may have been appended.
    pub(crate) async fn append(&self, stream: &Stream, message: Vec<u8>) -> Result<Place, HistoryError> {
        Ok(self.appender.append(stream, message).await?)
    }

    /// Reads at most `limit` messages, and at most 1 MiB.
    ///
    /// Of messages with the same sender, id and text in the page, only the first is in it.
    ///
    /// # Errors
    ///
    /// [`HistoryError::InvalidCursor`] if no message begins or ends at the cursor, [`HistoryError::Unavailable`].
    pub(crate) async fn page(
        &self,
        stream: &Stream,
        cursor: Cursor,
        limit: usize,
        filter: Filter<'_>,
        now: Instant,
    ) -> Result<Page, HistoryError> {
        let (tail, removed) = tokio::join!(self.tail(stream, cursor, now), self.removed(stream, now));
        let (tail, removed) = (tail?, removed?);
        let position = match cursor {
            Cursor::Newest => None,
            Cursor::Before(position) | Cursor::After(position) => Some(position),
        };
        let last = tail.parts.last();
        if position.zip(last).is_some_and(|(position, last)| position.part > last.number) {
            return Err(HistoryError::InvalidCursor);
        }
        let mut builder = PageBuilder::new(filter, limit, &removed);
        let page = match cursor {
            Cursor::After(position) => {
                let covered = self.reads.forward(stream, &tail, Some(position), now, |line| builder.add(&line)).await?;
                let (messages, bad_lines) = builder.finish();
                let (before, after) = (last.map(|_| position), last.and(covered.end));
                Page { messages, before, after, more: covered.more, lost: covered.lost, bad_lines }
            }
            Cursor::Newest | Cursor::Before(_) => {
                let covered = self.reads.backward(stream, &tail, position, |line| builder.add(&line)).await?;
                let (messages, bad_lines) = builder.finish_reversed();
                let after = position.or_else(|| tail.end.as_ref().map(|end| end.position()));
                Page { messages, before: covered.end, after, more: covered.more, lost: covered.lost, bad_lines }
            }
        };
        if page.bad_lines > 0 {
            warn!(lines = page.bad_lines, "the history has lines that are no messages; look at what else writes there");
        }
        Ok(page)
    }

    /// Hides a message to everyone or in a room, whose sender is this user. Returns the id of the message.
    ///
    /// # Errors
    ///
    /// [`HistoryError::InvalidCursor`] if no message begins at `at`, [`HistoryError::NotSender`], [`HistoryError::Unavailable`].
    pub(crate) async fn remove(
        &self,
        stream: &Stream,
        at: Position,
        sender: &str,
        now: Instant,
    ) -> Result<String, HistoryError> {
        let removals = stream.removals_name().ok_or(HistoryError::InvalidCursor)?;
        let tail = self.tail(stream, Cursor::After(at), now).await?;
        let mut found = None;
        let covered = self.reads.forward(stream, &tail, Some(at), now, |line| {
            found = Some(line);
            Next::Stop
        });
        let is_lost = covered.await?.lost;
        let line = found.filter(|_| !is_lost).ok_or(HistoryError::InvalidCursor)?;
        let message = MessageFields::parse(&line.content).ok_or(HistoryError::InvalidCursor)?;
        if message.sender != sender || message.is_guest {
            return Err(HistoryError::NotSender);
        }
        let id = message.id.into_owned();
        self.removals.add(&*self.store, &removals, (sender, &id), &tail.parts, now).await?;
        Ok(id)
    }

    /// Deletes all messages that the stream has when it is called. Others may go on writing.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Unavailable`]: some messages may have been deleted, the oldest first. Repeat the call.
    pub(crate) async fn erase(&self, stream: &Stream) -> Result<(), HistoryError> {
        let deadline = Instant::now() + ERASE_TIMEOUT;
        if Attempts::until(deadline).repeat(|| self.store.list(stream)).await?.parts.is_empty() {
            return Ok(());
        }
        let mut memory = Memory::default();
        let first = Writer::new(&*self.store, stream, &mut memory, Attempts::until(deadline)).begin_part().await?;
        let mut attempts = Attempts::until(deadline);
        let listing = attempts.repeat(|| self.store.list(stream)).await?;
        for part in listing.parts.iter().filter(|part| part.number < first) {
            attempts.repeat(|| self.store.delete(stream, part.number)).await?;
        }
        self.reads.kept.forget(stream);
        Ok(())
    }

    /// The names of at most `max` rooms that have messages, and `everyone`.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Unavailable`].
    pub(crate) async fn rooms(&self, max: usize) -> Result<Vec<String>, HistoryError> {
        let mut attempts = Attempts::until(Instant::now() + LIST_TIMEOUT);
        Ok(attempts.repeat(|| self.store.list_rooms(max)).await?)
    }

    /// The tail, newer than the cursor.
    async fn tail(&self, stream: &Stream, cursor: Cursor, now: Instant) -> Result<Arc<Tail>, StoreError> {
        let tail = self.reads.tail(stream, now).await?;
        let (Cursor::Before(position) | Cursor::After(position)) = cursor else { return Ok(tail) };
        let is_past = tail.end.as_ref().is_none_or(|end| position > end.end_of_bytes());
        if is_past { self.reads.read_tail(stream, now).await } else { Ok(tail) }
    }

    async fn removed(&self, stream: &Stream, now: Instant) -> Result<RemovedMessages, StoreError> {
        match stream.removals_name() {
            Some(name) => self.removals.get(&*self.store, &name, now).await,
            None => Ok(RemovedMessages::default()),
        }
    }
}
