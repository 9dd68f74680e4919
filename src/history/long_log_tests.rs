//! What a page costs where a room has a million messages: the calls of the store are counted, over a folder and over Azurite.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use test_support::azurite::Azurite;
use tokio::time::Instant;
use uuid::Uuid;

use super::azurite_tests::{CONTAINER, blob_store};
use super::folder_store::FolderStore;
use super::line::FirstLine;
use super::log::HistoryLog;
use super::memory_store::{Call, CallStore, Reply};
use super::page::{Cursor, Filter};
use super::position::{PartNumber, Position};
use super::store::{LogStore, StoreError};
use super::stream::Stream;

const MESSAGES: usize = 1_000_000;
const PARTS: usize = 20;
const FIRST_PART: PartNumber = 20_784_000;
const BLOCK_BYTES: usize = 4 << 20;
/// The most that one call reads: a window of 64 KiB, and as much for what was appended since the listing.
const MAX_READ_BYTES: u64 = 128 << 10;

/// A store whose calls are counted.
#[derive(Debug)]
struct CountedStore {
    store: Arc<dyn LogStore>,
    calls: Mutex<Vec<Call>>,
}

#[async_trait]
impl CallStore for CountedStore {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        self.calls.lock().unwrap().push(call.clone());
        Ok(match call {
            Call::List(stream) => Reply::List(self.store.list(&stream).await?),
            Call::Read(stream, part, range) => Reply::Read(self.store.read(&stream, part, range).await?),
            Call::ReadDocument(name) => Reply::ReadDocument(self.store.read_document(&name).await?),
            call => panic!("a page calls {call:?}"),
        })
    }
}

/// The number of requests since the last time, where the store sends requests.
type TakeRequests<'a> = &'a dyn Fn() -> Option<usize>;

/// A process that reads.
struct Reader<'a> {
    store: Arc<CountedStore>,
    log: HistoryLog,
    stream: Stream,
    take_requests: TakeRequests<'a>,
}

impl<'a> Reader<'a> {
    fn new(store: &Arc<dyn LogStore>, stream: &Stream, take_requests: TakeRequests<'a>) -> Self {
        let store = Arc::new(CountedStore { store: store.clone(), calls: Mutex::default() });
        Self { log: HistoryLog::new(store.clone()), store, stream: stream.clone(), take_requests }
    }

    /// Reads a page after so many seconds, which ends with the message `last`. Returns how many lists and ranges it has read.
    async fn read(&self, cursor: Cursor, seconds: u64, last: usize) -> (usize, usize) {
        (self.take_requests)();
        let now = Instant::now() + Duration::from_secs(seconds);
        let page = self.log.page(&self.stream, cursor, 50, Filter::All, now).await.unwrap();
        let is_last = page.messages.last().unwrap().contains(&format!(r#""id":"{last}""#));
        assert!(page.messages.len() == 50 && page.more && is_last, "{page:?}");
        let calls = std::mem::take(&mut *self.store.calls.lock().unwrap());
        let is_short = |call: &Call| {
            if let Call::Read(_, _, range) = call { range.end - range.start <= MAX_READ_BYTES } else { true }
        };
        assert!(calls.iter().all(is_short), "{calls:?}");
        assert_eq!((self.take_requests)().unwrap_or(calls.len()), calls.len(), "{calls:?}");
        let lists = calls.iter().filter(|call| matches!(call, Call::List(_))).count();
        (lists, calls.len() - lists)
    }
}

fn line(id: usize) -> String {
    let text = "x".repeat(100);
    format!("{{\"id\":\"{id}\",\"sender\":\"ann\",\"text\":\"{text}\",\"sentAt\":\"2026-11-27T00:00:00Z\"}}\n")
}

/// Writes a part with these messages, and returns its end.
async fn write_part(
    store: &dyn LogStore,
    stream: &Stream,
    part: PartNumber,
    previous: Option<Position>,
    ids: std::ops::Range<usize>,
) -> Position {
    store.create(stream, part).await.unwrap();
    let mut block = FirstLine::new(part, previous).to_bytes().to_vec();
    let mut length = 0;
    for id in ids {
        let line = line(id);
        if block.len() + line.len() > BLOCK_BYTES {
            length += block.len() as u64;
            store.append(stream, part, Bytes::from(std::mem::take(&mut block)), None).await.unwrap();
        }
        block.extend_from_slice(line.as_bytes());
    }
    length += block.len() as u64;
    store.append(stream, part, Bytes::from(block), None).await.unwrap();
    Position::new(part, length)
}

async fn check(store: Arc<dyn LogStore>, take_requests: TakeRequests<'_>) {
    let stream = Stream::room("tea").unwrap();
    let mut ends: Vec<Position> = Vec::new();
    for part in 0..PARTS {
        if let Some(end) = ends.last() {
            store.seal(&stream, end.part).await.unwrap();
        }
        let ids = part * MESSAGES / PARTS..(part + 1) * MESSAGES / PARTS;
        let number = FIRST_PART + PartNumber::try_from(part).unwrap() * 1_000;
        ends.push(write_part(&*store, &stream, number, ends.last().copied(), ids).await);
    }
    let (end, middle) = (ends[PARTS - 1], Cursor::Before(ends[PARTS / 2 - 1]));

    // The listing, the tail, and a list of removals that is not there.
    let reader = Reader::new(&store, &stream, take_requests);
    assert_eq!(reader.read(Cursor::Newest, 0, MESSAGES - 1).await, (1, 2));
    assert_eq!(reader.read(Cursor::Newest, 0, MESSAGES - 1).await, (0, 0));
    assert_eq!(reader.read(middle, 0, MESSAGES / 2 - 1).await, (0, 1));

    // The last message of each part is removed.
    let writer = HistoryLog::new(store.clone());
    for (part, end) in ends.into_iter().enumerate() {
        let length = line((part + 1) * MESSAGES / PARTS - 1).len() as u64;
        let last = Position::new(end.part, end.offset - length);
        writer.remove(&stream, last, "ann", Instant::now()).await.unwrap();
    }
    let reader = Reader::new(&store, &stream, take_requests);
    assert_eq!(reader.read(Cursor::Newest, 0, MESSAGES - 1).await, (1, 2));
    assert_eq!(reader.read(Cursor::Newest, 2, MESSAGES - 1).await, (1, 2));
    assert_eq!(reader.read(middle, 2, MESSAGES / 2 - 1).await, (0, 1));

    // The newest part is shorter than the page.
    store.seal(&stream, end.part).await.unwrap();
    write_part(&*store, &stream, end.part + 1_000, Some(end), MESSAGES..MESSAGES + 3).await;
    assert_eq!(reader.read(Cursor::Newest, 4, MESSAGES + 2).await, (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_of_a_million_messages_cost_three_reads_in_a_folder() {
    let folder = std::env::temp_dir().join(Uuid::new_v4().to_string());
    check(Arc::new(FolderStore::open(folder.clone()).await.unwrap()), &|| None).await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Azurite: part of make e2e"]
async fn the_newest_of_a_million_messages_cost_three_reads_in_azurite() {
    let azurite = Azurite::start(CONTAINER).await;
    check(Arc::new(blob_store(&azurite)), &|| Some(azurite.proxy.take_counts().values().sum())).await;
}
