//! A store in memory for tests, which behaves like append blobs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Bytes;

use super::position::PartNumber;
use super::store::{Appended, Chunk, Day, Document, Listing, LogStore, PartInfo, StoreError};
use super::stream::{ROOMS, Stream};

/// Clones share the parts.
#[derive(Clone, Debug)]
pub(crate) struct MemoryStore(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    parts: BTreeMap<(String, PartNumber), Part>,
    deleted: Vec<(String, PartNumber, Vec<u8>)>,
    documents: BTreeMap<String, Document>,
    day: Day,
    max_blocks: usize,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    blocks: usize,
    sealed: bool,
    created: Day,
}

/// A call of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    List(Stream),
    Create(Stream, PartNumber),
    Append(Stream, PartNumber, Bytes, Option<u64>),
    Read(Stream, PartNumber, Range<u64>),
    Seal(Stream, PartNumber),
    Delete(Stream, PartNumber),
    ListRooms(usize),
    ReadDocument(String),
    ReplaceDocument(String, Vec<u8>, Option<Document>),
}

/// What a call returns; the variants have the names of the calls.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    List(Listing),
    Append(Appended),
    Read(Chunk),
    ListRooms(Vec<String>),
    ReadDocument(Option<Document>),
    ReplaceDocument(bool),
    Done,
}

impl MemoryStore {
    /// A store whose parts take this many appends.
    pub(crate) fn new(max_blocks: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            parts: BTreeMap::new(),
            deleted: Vec::new(),
            documents: BTreeMap::new(),
            day: Day(20_000),
            max_blocks,
            calls: Vec::new(),
        })))
    }

    pub(super) fn next_day(&self) {
        self.0.lock().unwrap().day.0 += 1;
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// Creates a part with these bytes, as another program would.
    pub(super) fn put(&self, stream: &Stream, part: PartNumber, bytes: &[u8], sealed: bool) {
        let inner = &mut *self.0.lock().unwrap();
        let part_content = Part { bytes: bytes.to_vec(), blocks: 1, sealed, created: inner.day };
        inner.parts.insert((stream.prefix().to_owned(), part), part_content);
    }

    /// The parts of the stream that there are: number, bytes, and whether it is sealed.
    pub(super) fn parts(&self, stream: &Stream) -> Vec<(PartNumber, Vec<u8>, bool)> {
        let inner = self.0.lock().unwrap();
        let parts = inner.parts.iter().filter(|((prefix, _), _)| prefix == stream.prefix());
        parts.map(|((_, number), part)| (*number, part.bytes.clone(), part.sealed)).collect()
    }

    /// The parts of the stream that there ever were, in the order of their numbers: number, bytes, and whether it is there.
    pub(super) fn all_parts(&self, stream: &Stream) -> Vec<(PartNumber, Vec<u8>, bool)> {
        let mut parts: Vec<_> =
            self.parts(stream).into_iter().map(|(number, bytes, _)| (number, bytes, true)).collect();
        let inner = self.0.lock().unwrap();
        let deleted = inner.deleted.iter().filter(|(prefix, ..)| prefix == stream.prefix());
        parts.extend(deleted.map(|(_, number, bytes)| (*number, bytes.clone(), false)));
        parts.sort();
        parts
    }

    /// Carries out a call.
    pub(crate) fn apply(&self, call: &Call) -> Result<Reply, StoreError> {
        let inner = &mut *self.0.lock().unwrap();
        inner.calls.push(call.clone());
        let key = |stream: &Stream, part: &PartNumber| (stream.prefix().to_owned(), *part);
        match call {
            Call::List(stream) => {
                let from = (stream.prefix().to_owned(), 0);
                let parts = inner.parts.range(from..).take_while(|((prefix, _), _)| prefix == stream.prefix());
                let parts = parts.map(|((_, number), part)| PartInfo {
                    number: *number,
                    length: part.bytes.len() as u64,
                    sealed: false,
                    created: part.created,
                });
                Ok(Reply::List(Listing { parts: parts.collect(), day: inner.day }))
            }
            Call::Create(stream, part) => {
                let key = key(stream, part);
                if inner.parts.contains_key(&key) {
                    return Err(StoreError::AlreadyExists);
                }
                inner.parts.insert(key, Part { bytes: Vec::new(), blocks: 0, sealed: false, created: inner.day });
                Ok(Reply::Done)
            }
            Call::Append(stream, part, bytes, at) => {
                let part = inner.parts.get_mut(&key(stream, part)).ok_or(StoreError::BlobNotFound)?;
                let offset = part.bytes.len() as u64;
                if part.sealed {
                    return Err(StoreError::BlobIsSealed);
                }
                if at.is_some_and(|at| at != offset) {
                    return Err(StoreError::AppendPositionConditionNotMet);
                }
                if part.blocks >= inner.max_blocks {
                    return Err(StoreError::BlockCountExceedsLimit);
                }
                part.blocks += 1;
                part.bytes.extend_from_slice(bytes);
                Ok(Reply::Append(Appended { offset, day: inner.day }))
            }
            Call::Read(stream, part, range) => {
                let part = inner.parts.get(&key(stream, part)).ok_or(StoreError::BlobNotFound)?;
                let total = part.bytes.len();
                let end = usize::try_from(range.end).unwrap().min(total);
                let begin = usize::try_from(range.start).unwrap().min(end);
                let bytes = Bytes::copy_from_slice(&part.bytes[begin..end]);
                Ok(Reply::Read(Chunk { bytes, sealed: part.sealed, total: total as u64 }))
            }
            Call::Seal(stream, part) => {
                let part = inner.parts.get_mut(&key(stream, part)).ok_or(StoreError::BlobNotFound)?;
                assert!(!part.bytes.is_empty(), "an empty part is sealed");
                part.sealed = true;
                Ok(Reply::Done)
            }
            Call::Delete(stream, part) => {
                if let Some(deleted) = inner.parts.remove(&key(stream, part)) {
                    inner.deleted.push((stream.prefix().to_owned(), *part, deleted.bytes));
                }
                Ok(Reply::Done)
            }
            Call::ListRooms(max) => {
                let rooms = inner.parts.keys().filter_map(|(prefix, _)| prefix.strip_prefix(ROOMS)?.strip_suffix('/'));
                let mut rooms: Vec<_> = rooms.map(str::to_owned).collect();
                rooms.dedup();
                rooms.truncate(*max);
                Ok(Reply::ListRooms(rooms))
            }
            Call::ReadDocument(name) => Ok(Reply::ReadDocument(inner.documents.get(name).cloned())),
            Call::ReplaceDocument(name, content, previous) => {
                let is_unchanged = inner.documents.get(name) == previous.as_ref();
                if is_unchanged {
                    let document = Document { content: content.clone().into(), etag: None };
                    inner.documents.insert(name.clone(), document);
                }
                Ok(Reply::ReplaceDocument(is_unchanged))
            }
        }
    }
}

/// A store of which only [`call`](Self::call) is special.
#[async_trait]
pub(crate) trait CallStore: std::fmt::Debug + Send + Sync {
    async fn call(&self, call: Call) -> Result<Reply, StoreError>;
}

#[async_trait]
impl CallStore for MemoryStore {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        self.apply(&call)
    }
}

#[async_trait]
impl<S: CallStore> LogStore for S {
    async fn list(&self, stream: &Stream) -> Result<Listing, StoreError> {
        match self.call(Call::List(stream.clone())).await? {
            Reply::List(listing) => Ok(listing),
            reply => panic!("{reply:?}"),
        }
    }

    async fn create(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        self.call(Call::Create(stream.clone(), part)).await.map(drop)
    }

    async fn append(
        &self,
        stream: &Stream,
        part: PartNumber,
        bytes: Bytes,
        at: Option<u64>,
    ) -> Result<Appended, StoreError> {
        match self.call(Call::Append(stream.clone(), part, bytes, at)).await? {
            Reply::Append(appended) => Ok(appended),
            reply => panic!("{reply:?}"),
        }
    }

    async fn read(&self, stream: &Stream, part: PartNumber, range: Range<u64>) -> Result<Chunk, StoreError> {
        assert!(range.start < range.end, "an empty range is read");
        match self.call(Call::Read(stream.clone(), part, range)).await? {
            Reply::Read(chunk) => Ok(chunk),
            reply => panic!("{reply:?}"),
        }
    }

    async fn seal(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        self.call(Call::Seal(stream.clone(), part)).await.map(drop)
    }

    async fn delete(&self, stream: &Stream, part: PartNumber) -> Result<(), StoreError> {
        self.call(Call::Delete(stream.clone(), part)).await.map(drop)
    }

    async fn list_rooms(&self, max: usize) -> Result<Vec<String>, StoreError> {
        match self.call(Call::ListRooms(max)).await? {
            Reply::ListRooms(rooms) => Ok(rooms),
            reply => panic!("{reply:?}"),
        }
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        match self.call(Call::ReadDocument(name.to_owned())).await? {
            Reply::ReadDocument(document) => Ok(document),
            reply => panic!("{reply:?}"),
        }
    }

    async fn replace_document(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: Option<&Document>,
    ) -> Result<bool, StoreError> {
        match self.call(Call::ReplaceDocument(name.to_owned(), content, previous.cloned())).await? {
            Reply::ReplaceDocument(is_replaced) => Ok(is_replaced),
            reply => panic!("{reply:?}"),
        }
    }
}
