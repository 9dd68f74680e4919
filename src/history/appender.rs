//! Group commit: one append at a time for each stream, and what waits meanwhile goes together in the next block.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::attempts::Attempts;
use super::line::{LINE_FEED, MAX_LINE_BYTES};
use super::position::Position;
use super::reads::Reads;
use super::store::{LogStore, StoreError};
use super::stream::Stream;
use super::writer::{Memory, Writer};

/// The longest that an append takes, with the time in the queue.
pub(super) const APPEND_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BLOCK_BYTES: usize = 1 << 20;
const MAX_BLOCK_LINES: usize = 100;
/// The most lines of one stream that wait. With [`MAX_BLOCK_LINES`] and 20 ms for a block, they wait for 0.2 s.
const MAX_WAITING: usize = 1_000;
/// The most streams that are remembered, about 3 MB. A stream that is forgotten costs one listing and one read more.
const MAX_STREAMS: usize = 10_000;

/// How long the last part of an idle stream is remembered. Only the store knows the day, so a remembered part can get messages of the next
/// one; a room that was quiet for weeks must not, or its part would be kept for longer than the removals of its messages.
const REMEMBER: Duration = Duration::from_secs(600);

/// Where a message is in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// Where its line begins, or for the first message of a part, where the part before ends.
    pub(crate) at: Position,
    /// Where its line ends: `at` of the next message.
    pub(crate) next: Position,
}

/// Appends lines to streams. Clones share the queues.
#[derive(Clone)]
pub(super) struct Appender(Arc<Inner>);

struct Inner {
    store: Arc<dyn LogStore>,
    /// Readers of this process find what it has appended.
    reads: Arc<Reads>,
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    states: HashMap<Stream, StreamState>,
    /// Counts the appends, to find the stream that was used least recently.
    uses: u64,
}

#[derive(Default)]
struct StreamState {
    waiting: VecDeque<Waiting>,
    /// A task is appending.
    is_running: bool,
    memory: Memory,
    /// When it was last used.
    remembered_at: Option<Instant>,
    last_use: u64,
}

/// A line that waits for its append.
struct Waiting {
    /// With its line feed.
    line: Vec<u8>,
    deadline: Instant,
    reply: oneshot::Sender<Result<Place, StoreError>>,
}

impl fmt::Debug for Appender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender").field("store", &self.0.store).finish_non_exhaustive()
    }
}

impl Appender {
    pub(super) fn new(store: Arc<dyn LogStore>, reads: Arc<Reads>) -> Self {
        Self(Arc::new(Inner { store, reads, streams: Mutex::default() }))
    }

    /// Appends a line, which is given without its line feed. It may be appended although the future is dropped.
    ///
    /// # Errors
    ///
    /// If there was no certainty in time, the queue is full, or the store rejects a call. The line may have been appended.
    pub(super) async fn append(&self, stream: &Stream, mut line: Vec<u8>) -> Result<Place, StoreError> {
        if line.len() >= MAX_LINE_BYTES || line.contains(&LINE_FEED) {
            return Err(StoreError::Rejected("a line is too long, or it is several".to_owned()));
        }
        line.push(LINE_FEED);
        let deadline = Instant::now() + APPEND_TIMEOUT;
        let (reply, outcome) = oneshot::channel();
        self.enqueue(stream, Waiting { line, deadline, reply })?;
        match timeout_at(deadline, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(StoreError::Unknown),
        }
    }

    /// The number of streams that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.0.lock().states.len()
    }

    fn enqueue(&self, stream: &Stream, waiting: Waiting) -> Result<(), StoreError> {
        let mut streams = self.0.lock();
        let streams = &mut *streams;
        if streams.states.len() >= MAX_STREAMS && !streams.states.contains_key(stream) {
            forget_idle(&mut streams.states)?;
        }
        streams.uses += 1;
        let state = streams.states.entry(stream.clone()).or_default();
        state.last_use = streams.uses;
        if state.waiting.len() >= MAX_WAITING {
            return Err(StoreError::Throttled(None));
        }
        state.waiting.push_back(waiting);
        if !state.is_running {
            state.is_running = true;
            tokio::spawn(run(Running { appender: self.clone(), stream: stream.clone(), has_ended: false }));
        }
        Ok(())
    }
}

impl Inner {
    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the quarter of the streams that were used least recently and have nothing to do.
fn forget_idle(states: &mut HashMap<Stream, StreamState>) -> Result<(), StoreError> {
    let mut idle: Vec<u64> = states.values().filter(|state| !state.is_running).map(|state| state.last_use).collect();
    if idle.is_empty() {
        return Err(StoreError::Throttled(None));
    }
    let middle = idle.len() / 4;
    let (_, last, _) = idle.select_nth_unstable(middle);
    states.retain(|_, state| state.is_running || state.last_use > *last);
    Ok(())
}

/// The task that appends to a stream. If it is ended from outside, the next line starts another one.
struct Running {
    appender: Appender,
    stream: Stream,
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended
            && let Some(state) = self.appender.0.lock().states.get_mut(&self.stream)
        {
            state.is_running = false;
            state.waiting.clear();
        }
    }
}

/// Appends what waits, block by block, until nothing waits.
async fn run(mut running: Running) {
    let mut memory = None;
    while let Some((block, mut remembered)) = next_block(&running.appender.0, &running.stream, memory.take()) {
        append_block(&running.appender.0, &running.stream, block, &mut remembered).await;
        memory = Some(remembered);
    }
    running.has_ended = true;
}

/// Takes the lines of the next block, and what is remembered. Without lines, the task has ended.
fn next_block(inner: &Inner, stream: &Stream, memory: Option<Memory>) -> Option<(Vec<Waiting>, Memory)> {
    let mut streams = inner.lock();
    let state = streams.states.get_mut(stream)?;
    let now = Instant::now();
    if let Some(memory) = memory {
        (state.memory, state.remembered_at) = (memory, Some(now));
    }
    if state.remembered_at.is_some_and(|at| now.saturating_duration_since(at) >= REMEMBER) {
        state.memory.forget_last();
    }
    let (mut block, mut bytes) = (Vec::new(), 0);
    while block.len() < MAX_BLOCK_LINES
        && let Some(waiting) = state.waiting.pop_front_if(|next| bytes + next.line.len() <= MAX_BLOCK_BYTES)
    {
        // A line whose caller no longer waits is not said.
        if !waiting.reply.is_closed() {
            bytes += waiting.line.len();
            block.push(waiting);
        }
    }
    if block.is_empty() {
        // While the queue is locked, so that the next line starts another task.
        state.is_running = false;
        return None;
    }
    Some((block, state.memory))
}

async fn append_block(inner: &Inner, stream: &Stream, block: Vec<Waiting>, memory: &mut Memory) {
    let deadline = block.iter().map(|waiting| waiting.deadline).max().unwrap_or_else(Instant::now);
    let bytes: Bytes = block.iter().flat_map(|waiting| &waiting.line).copied().collect::<Vec<u8>>().into();
    let outcome = Writer::new(&*inner.store, stream, memory, Attempts::until(deadline)).append(&bytes).await;
    match &outcome {
        Ok(appended) => inner.reads.kept.append(stream, appended.end(0), &bytes, Instant::now()),
        Err(error) => warn!(lines = block.len(), "messages were not added to the history: {error}"),
    }
    let mut end = 0;
    for Waiting { line, reply, .. } in block {
        let begin = end;
        end += line.len();
        let place = outcome.as_ref().map(|block| Place { at: block.begin(begin), next: block.end(end) });
        // The caller may have stopped waiting.
        let _ = reply.send(place.map_err(Clone::clone));
    }
}
