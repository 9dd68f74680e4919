//! Which messages of a room were removed by their senders: a list in one document for each room, which is replaced as a whole.
//!
//! A reader needs one read for it, however many days have removals. A list has one line for each removed message, so it is short.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::attempts::Attempts;
use super::line::LINE_FEED;
use super::position::PartNumber;
use super::shared_reads::SharedReads;
use super::store::{Document, LogStore, PartInfo, StoreError};

/// How long a list is taken as it was read.
const KEEP: Duration = Duration::from_secs(1);
/// The longest that a read of a list takes, and a write, with their repetitions.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The most lists that are kept. A long one takes about 2 MB.
const MAX_KEPT: usize = 64;
/// The most lines of a list, about 3 MB. Older ones are dropped, and their messages are shown again.
const MAX_REMOVALS: usize = 50_000;
/// How many parts after its removal a message that is sent again is hidden for certain. The last part of a kept tail may be one too low.
const MAX_REPEAT_PARTS: PartNumber = 2;

/// A line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Removal {
    /// The last part of the room when the message was removed last: later parts have no line of it, unless it is sent again.
    part: PartNumber,
    message: MessageHash,
}

/// The first 16 bytes of the SHA-256 of sender and id. A sender's lines with the same id are one message, also at different positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct MessageHash(u128);

impl MessageHash {
    fn of(sender: &str, id: &str) -> Self {
        let hash = Sha256::digest(json!([sender, id]).to_string());
        Self(hash.iter().take(size_of::<u128>()).fold(0, |number, byte| number << u8::BITS | u128::from(*byte)))
    }
}

impl From<MessageHash> for String {
    fn from(MessageHash(number): MessageHash) -> Self {
        format!("{number:032x}")
    }
}

impl TryFrom<String> for MessageHash {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

/// The messages of a room that were removed, with the part of their line.
#[derive(Clone, Debug, Default)]
pub(super) struct RemovedMessages(Arc<HashMap<MessageHash, PartNumber>>);

impl RemovedMessages {
    pub(super) fn contains(&self, sender: &str, id: &str) -> bool {
        !self.0.is_empty() && self.0.contains_key(&MessageHash::of(sender, id))
    }

    /// Whether a removal is there, made then or later.
    fn has(&self, removal: &Removal) -> bool {
        self.0.get(&removal.message).is_some_and(|part| *part >= removal.part)
    }
}

impl FromIterator<Removal> for RemovedMessages {
    fn from_iter<I: IntoIterator<Item = Removal>>(removals: I) -> Self {
        Self(Arc::new(removals.into_iter().map(|Removal { part, message }| (message, part)).collect()))
    }
}

/// The lists of rooms. They are named by the names of their documents.
#[derive(Debug, Default)]
pub(super) struct Removals {
    state: Mutex<State>,
    /// The key has the number of writes when the read began: a caller joins no read from before a write of this process.
    reads: SharedReads<(String, u64), Result<RemovedMessages, StoreError>>,
    /// Writes, which are shared in the same way.
    writes: SharedReads<String, Result<RemovedMessages, StoreError>>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<String, KeptList>,
    /// The removals that the next write adds to each list.
    waiting: HashMap<String, HashSet<Removal>>,
    /// The number of writes.
    writes: u64,
}

impl Removals {
    /// What was removed, as it was at most a second before `now`: at most one read of the store.
    ///
    /// # Errors
    ///
    /// If the store rejects the read, or does not answer in time.
    pub(super) async fn get(
        &self,
        store: &dyn LogStore,
        name: &str,
        now: Instant,
    ) -> Result<RemovedMessages, StoreError> {
        let writes = {
            let state = self.lock();
            if let Some(kept) = state.kept.get(name)
                && kept.is_new(now)
            {
                return Ok(kept.removed.clone());
            }
            state.writes
        };
        let read = async {
            let document = Attempts::until(Instant::now() + TIMEOUT).repeat(|| store.read_document(name)).await?;
            let removed: RemovedMessages = lines(document.as_ref()).collect();
            let mut state = self.lock();
            if state.writes == writes {
                state.keep(name, &removed, now);
            }
            Ok(removed)
        };
        self.reads.get((name.to_owned(), writes), read).await
    }

    /// Adds a message to the list of a room with these parts. What others of this process add meanwhile goes together in the next write.
    ///
    /// # Errors
    ///
    /// If the store rejects a call, or there was no certainty in time. The message may have been added.
    pub(super) async fn add(
        &self,
        store: &dyn LogStore,
        name: &str,
        (sender, id): (&str, &str),
        parts: &[PartInfo],
        now: Instant,
    ) -> Result<(), StoreError> {
        let [oldest, part] = [parts.first(), parts.last()].map(|part| part.map_or(0, |part| part.number));
        let removal = Removal { part, message: MessageHash::of(sender, id) };
        loop {
            let _waiting = Waiting::begin(self, name, removal);
            let removed = self.writes.get(name.to_owned(), self.write(store, name, oldest, now)).await?;
            // Otherwise it came after that write had begun, or the caller whose write took it has gone.
            if removed.has(&removal) {
                return Ok(());
            }
        }
    }

    /// Adds what waits to a list, and drops the lines of messages that can only have been in parts before `oldest`.
    async fn write(
        &self,
        store: &dyn LogStore,
        name: &str,
        oldest: PartNumber,
        now: Instant,
    ) -> Result<RemovedMessages, StoreError> {
        let mut attempts = Attempts::until(Instant::now() + TIMEOUT);
        let mut added = HashSet::new();
        loop {
            let document = attempts.repeat(|| store.read_document(name)).await?;
            added.extend(self.lock().waiting.remove(name).unwrap_or_default());
            let mut removals: Vec<Removal> = lines(document.as_ref()).collect();
            let mut removed: RemovedMessages = removals.iter().copied().collect();
            added.retain(|removal| !removed.has(removal));
            // After an answer that was lost, or a removal by another process, all of them are there.
            if !added.is_empty() {
                let again: HashSet<_> = added.iter().map(|removal| removal.message).collect();
                removals.retain(|removal| {
                    !again.contains(&removal.message) && removal.part.saturating_add(MAX_REPEAT_PARTS) >= oldest
                });
                removals.extend(&added);
                removals.drain(..removals.len().saturating_sub(MAX_REMOVALS));
                removed = removals.iter().copied().collect();
                // Only in place of the document that was read: an attempt that lands late changes nothing.
                match attempts.once(store.replace_document(name, content(&removals), document.as_ref())).await {
                    Ok(true) => {}
                    Ok(false) | Err(StoreError::Unknown) => {
                        attempts.wait(None, StoreError::Unknown).await?;
                        continue;
                    }
                    Err(StoreError::Throttled(wait)) => {
                        attempts.wait(wait, StoreError::Throttled(wait)).await?;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let mut state = self.lock();
            state.writes += 1;
            state.keep(name, &removed, now);
            return Ok(removed);
        }
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A removal that waits for the next write. If its caller gives up before, it is not made.
struct Waiting<'a> {
    removals: &'a Removals,
    name: &'a str,
    removal: Removal,
}

impl<'a> Waiting<'a> {
    fn begin(removals: &'a Removals, name: &'a str, removal: Removal) -> Self {
        removals.lock().waiting.entry(name.to_owned()).or_default().insert(removal);
        Self { removals, name, removal }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.removals.lock();
        if let Some(waiting) = state.waiting.get_mut(self.name) {
            waiting.remove(&self.removal);
            if waiting.is_empty() {
                state.waiting.remove(self.name);
            }
        }
    }
}

/// A list as it was read or written last.
#[derive(Debug)]
struct KeptList {
    removed: RemovedMessages,
    read_at: Instant,
}

impl KeptList {
    fn is_new(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) < KEEP
    }
}

impl State {
    fn keep(&mut self, name: &str, removed: &RemovedMessages, now: Instant) {
        self.kept.retain(|other, kept| other != name && kept.is_new(now));
        if self.kept.len() < MAX_KEPT {
            self.kept.insert(name.to_owned(), KeptList { removed: removed.clone(), read_at: now });
        }
    }
}

/// The lines of a list. Bad ones are skipped.
fn lines(document: Option<&Document>) -> impl Iterator<Item = Removal> {
    let content = document.map_or(&[][..], |document| &document.content);
    content.split(|byte| *byte == LINE_FEED).filter_map(|line| serde_json::from_slice(line).ok())
}

fn content(removals: &[Removal]) -> Vec<u8> {
    let mut content = Vec::new();
    for removal in removals {
        serde_json::to_writer(&mut content, removal).expect("a number and a text");
        content.push(LINE_FEED);
    }
    content
}
