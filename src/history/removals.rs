//! Which messages of a room were removed by their senders.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::position::Position;
use super::reads::Reads;
use super::scan::{Next, ScanError};
use super::shared_reads::SharedReads;
use super::store::{Day, PartInfo, StoreError};
use super::stream::Stream;
use super::tail::Tail;

/// How long the removals are taken as they were read.
const KEEP: Duration = Duration::from_secs(1);
/// The most rooms whose removals are remembered.
const MAX_ROOMS: usize = 256;
/// Of a room, at least this many removals are remembered, and at most twice as many. Older ones are shown again.
const MAX_REMOVALS: usize = 50_000;

/// A line of a stream of removals.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Removal {
    pub(super) at: String,
    pub(super) sender: String,
    pub(super) id: String,
}

/// The removals of rooms, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Keyed at random, so that no two messages can be made to have the same hash.
    hasher: RandomState,
    rooms: Mutex<HashMap<Stream, Room>>,
    loads: SharedReads<Stream, Result<RemovedMessages, StoreError>>,
}

#[derive(Debug)]
struct Room {
    messages: RemovedMessages,
    /// Where the stream of removals had ended.
    end: Option<Position>,
    read_at: Option<Instant>,
}

/// Messages that were removed. A sender's lines with the same id are one message, also at different positions.
#[derive(Clone, Debug)]
pub(super) struct RemovedMessages {
    hasher: RandomState,
    newer: Arc<HashSet<u64>>,
    older: Arc<HashSet<u64>>,
}

impl RemovedMessages {
    fn new(hasher: RandomState) -> Self {
        Self { hasher, newer: Arc::default(), older: Arc::default() }
    }

    /// Nothing was removed, as in streams in which nothing can be.
    pub(super) fn none() -> Self {
        Self::new(RandomState::new())
    }

    pub(super) fn contains(&self, sender: &str, id: &str) -> bool {
        let is_empty = self.newer.is_empty() && self.older.is_empty();
        let hash = self.hasher.hash_one((sender, id));
        !is_empty && (self.newer.contains(&hash) || self.older.contains(&hash))
    }

    fn insert(&mut self, sender: &str, id: &str) {
        let hash = self.hasher.hash_one((sender, id));
        if self.newer.contains(&hash) {
            return;
        }
        if self.newer.len() >= MAX_REMOVALS {
            self.older = mem::take(&mut self.newer);
        }
        Arc::make_mut(&mut self.newer).insert(hash);
    }
}

impl Removals {
    /// What was removed in a room, from its stream of removals. At most one read of the store, unless that stream has a new part or is
    /// read for the first time.
    pub(super) async fn get(
        &self,
        reads: &Reads,
        stream: &Stream,
        now: Instant,
    ) -> Result<RemovedMessages, StoreError> {
        let end = {
            let rooms = self.lock();
            let room = rooms.get(stream);
            let is_new = |read_at: Instant| now.saturating_duration_since(read_at) < KEEP;
            if let Some(room) = room.filter(|room| room.read_at.is_some_and(is_new)) {
                return Ok(room.messages.clone());
            }
            room.and_then(|room| room.end)
        };
        self.loads.get(stream.clone(), self.load(reads, stream, end, now)).await
    }

    async fn load(
        &self,
        reads: &Reads,
        stream: &Stream,
        end: Option<Position>,
        now: Instant,
    ) -> Result<RemovedMessages, StoreError> {
        let tail = match end {
            // Without a listing: if the part is not sealed, it is still the last one.
            Some(end) => {
                let part = PartInfo { number: end.part, length: end.offset, sealed: false, created: Day(0) };
                Arc::new(Tail { parts: [part].into(), end: None })
            }
            None => reads.read_tail(stream, now).await?,
        };
        let mut removals: Vec<Removal> = Vec::new();
        let read = reads.forward(stream, &tail, end, now, |line| {
            removals.extend(serde_json::from_slice::<Removal>(&line.content));
            Next::Continue
        });
        let end = match read.await {
            Ok(covered) => covered.end,
            // Another program has changed the stream: it is read from its beginning next time.
            Err(ScanError::InvalidPosition) => None,
            Err(ScanError::Store(error)) => return Err(error),
        };
        let mut rooms = self.lock();
        let room = self.room(&mut rooms, stream);
        for removal in &removals {
            room.messages.insert(&removal.sender, &removal.id);
        }
        (room.end, room.read_at) = (end, Some(now));
        Ok(room.messages.clone())
    }

    /// Adds a removal of this process, so that the next reader finds it.
    pub(super) fn insert(&self, stream: &Stream, removal: &Removal) {
        let mut rooms = self.lock();
        self.room(&mut rooms, stream).messages.insert(&removal.sender, &removal.id);
    }

    fn room<'a>(&self, rooms: &'a mut HashMap<Stream, Room>, stream: &Stream) -> &'a mut Room {
        if rooms.len() >= MAX_ROOMS && !rooms.contains_key(stream) {
            let oldest = rooms.iter().min_by_key(|(_, room)| room.read_at).map(|(stream, _)| stream.clone());
            oldest.map(|oldest| rooms.remove(&oldest));
        }
        let messages = || RemovedMessages::new(self.hasher.clone());
        rooms.entry(stream.clone()).or_insert_with(|| Room { messages: messages(), end: None, read_at: None })
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, HashMap<Stream, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
