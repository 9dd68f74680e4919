//! Pages, positions, removals and costs of the log, over a store in memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::log::{HistoryError, HistoryLog};
use super::memory_store::MemoryStore;
use super::page::{Cursor, Filter, Page};
use super::position::Position;
use super::store::LogStore as _;
use super::stream::Stream;

fn line(id: &str, sender: &str, text: &str) -> String {
    format!("{}\n", json!({"id": id, "sender": sender, "text": text}))
}

struct TestLog {
    store: MemoryStore,
    log: HistoryLog,
    stream: Stream,
}

impl TestLog {
    fn new() -> Self {
        Self::over(MemoryStore::new(50_000))
    }

    fn over(store: MemoryStore) -> Self {
        let log = HistoryLog::new(Arc::new(store.clone()));
        Self { store, log, stream: Stream::room("tea").unwrap() }
    }

    async fn say(&self, id: &str, sender: &str, text: &str) -> Position {
        let line = line(id, sender, text);
        self.log.append(&self.stream, line.trim_end().as_bytes().to_vec()).await.unwrap().at
    }

    async fn read(&self, cursor: Cursor, limit: usize) -> Result<Page, HistoryError> {
        self.log.page(&self.stream, cursor, limit, Filter::All, Instant::now()).await
    }

    /// Another process that has read nothing yet.
    fn other(&self) -> Self {
        Self::over(self.store.clone())
    }

    /// The number of calls since the last time.
    fn calls(&self) -> usize {
        self.store.take_calls().len()
    }
}

fn messages(page: &Page) -> Vec<Value> {
    page.messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}

fn ids(page: &Page) -> String {
    messages(page).iter().map(|message| message["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// Part 7 follows part 5, which is gone, and has three messages, a bad line and a doubled one; part 8 has no message; part 9 one, and half
/// a line. Part 10 was just created.
struct Parts {
    log: TestLog,
    /// The offsets in part 7: of its lines, and of its end.
    seven: Vec<u64>,
    /// The end of part 8.
    eight: u64,
    /// The offset of the message in part 9, and of its end.
    nine: [u64; 2],
}

impl Parts {
    fn new() -> Self {
        let log = TestLog::new();
        let mut seven = "{\"part\":7,\"previous\":{\"part\":5,\"length\":900}}\n".to_owned();
        let mut offsets = vec![seven.len() as u64];
        for line in [
            line("a", "ann", "1"),
            line("b", "ann", "2"),
            "not a message\n".to_owned(),
            line("a", "ann", "1"),
            line("a", "bob", "1"),
        ] {
            seven += &line;
            offsets.push(seven.len() as u64);
        }
        let eight = format!("{{\"part\":8,\"previous\":{{\"part\":7,\"length\":{}}}}}\n", seven.len());
        let mut nine = format!("{{\"part\":9,\"previous\":{{\"part\":7,\"length\":{}}}}}\n", seven.len());
        let begin = nine.len() as u64;
        nine += &line("c", "bob", "3");
        let end = nine.len() as u64;
        nine += "{\"id\":\"half\"";
        let stream = &log.stream;
        log.store.put(stream, 7, seven.as_bytes(), true);
        log.store.put(stream, 8, eight.as_bytes(), true);
        log.store.put(stream, 9, nine.as_bytes(), false);
        log.store.put(stream, 10, b"", false);
        Self { log, seven: offsets, eight: eight.len() as u64, nine: [begin, end] }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_after_a_position_is_what_follows_there() {
    let Parts { log, seven, eight, nine } = Parts::new();
    let (first, end) = (seven[0], seven[5]);
    for (part, offset, expected, lost) in [
        // In parts that are gone, the end of the last one included.
        (1, 0, "a b a c", true),
        (5, 899, "a b a c", true),
        (5, 900, "a b a c", false),
        (5, 901, "a b a c", true),
        (6, 50, "a b a c", true),
        // At the beginnings of lines. The doubled line is on the page with the first one, or alone.
        (7, first, "a b a c", false),
        (7, seven[1], "b a a c", false),
        (7, seven[2], "a a c", false),
        (7, seven[3], "a a c", false),
        (7, seven[4], "a c", false),
        // At the end of a part.
        (7, end, "c", false),
        (8, eight, "c", false),
        (9, nine[0], "c", false),
        (9, nine[1], "", false),
    ] {
        let page = log.read(Cursor::After(Position::new(part, offset)), 100).await.unwrap();
        let name = format!("{part} {offset}: {page:?}");
        assert_eq!((&*ids(&page), page.lost, page.more), (expected, lost, false), "{name}");
        assert_eq!(page.before, Some(Position::new(part, offset)), "{name}");
        assert_eq!(page.after, Some(Position::new(9, nine[1])), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_before_a_position_is_what_precedes_there() {
    let Parts { log, seven, nine, .. } = Parts::new();
    for (part, offset, expected, lost) in [
        (5, 900, "", true),
        (6, 50, "", true),
        (7, seven[0], "", false),
        (7, seven[1], "a", false),
        (7, seven[2], "a b", false),
        (7, seven[3], "a b", false),
        // The doubled line is left out.
        (7, seven[4], "a b", false),
        (7, seven[5], "a b a", false),
        (9, nine[0], "a b a", false),
        (9, nine[1], "a b a c", false),
    ] {
        let page = log.read(Cursor::Before(Position::new(part, offset)), 100).await.unwrap();
        let name = format!("{part} {offset}: {page:?}");
        assert_eq!((&*ids(&page), page.lost, page.more, page.before), (expected, lost, false, None), "{name}");
        assert_eq!(page.after, Some(Position::new(part, offset)), "{name}");
    }
    let newest = log.read(Cursor::Newest, 100).await.unwrap();
    assert_eq!((ids(&newest), newest.after), ("a b a c".to_owned(), Some(Position::new(9, nine[1]))));
    assert_eq!(newest.bad_lines, 1);
}

#[tokio::test(start_paused = true)]
async fn positions_that_are_none_of_the_stream_are_invalid() {
    let Parts { log, seven, nine, .. } = Parts::new();
    for (part, offset) in [
        // In the first line, in a line, and past the end of a part.
        (7, 0),
        (7, 10),
        (7, seven[0] - 1),
        (7, seven[0] + 1),
        (7, seven[5] + 1),
        (7, 1 << 33),
        // In half a line, and in the future.
        (9, nine[1] + 3),
        (9, nine[1] + 100),
        (10, 0),
        (10, 46),
        (99_999_999, 0),
    ] {
        for cursor in [Cursor::After, Cursor::Before] {
            let page = log.read(cursor(Position::new(part, offset)), 100).await;
            assert_eq!(page.unwrap_err(), HistoryError::InvalidCursor, "{part} {offset}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_chained_across_parts_and_pages() {
    let Parts { log, seven, nine, .. } = Parts::new();
    let (mut cursor, mut read) = (Cursor::Newest, Vec::new());
    loop {
        let page = log.read(cursor, 1).await.unwrap();
        read.splice(0..0, messages(&page));
        match page.before {
            Some(before) => cursor = Cursor::Before(before),
            None => break,
        }
    }
    let text = |part, offset| Position::new(part, offset).to_string();
    assert_eq!(read[0]["at"], text(5, 900));
    assert_eq!(read.last().unwrap()["at"], text(7, seven[5]));
    assert_eq!(read.last().unwrap()["next"], text(9, nine[1]));
    let mut forward = Vec::new();
    let mut after = Position::new(5, 900);
    loop {
        let page = log.read(Cursor::After(after), 1).await.unwrap();
        forward.extend(messages(&page));
        (after, _) = (page.after.unwrap(), assert!(!page.lost));
        if !page.more {
            break;
        }
    }
    assert_eq!(forward, read);
    // The bad line is the only hole, and the doubled line is on a page of its own.
    let holes = read.windows(2).filter(|pair| pair[0]["next"] != pair[1]["at"]).count();
    assert_eq!((read.len(), holes), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_parts_is_empty() {
    let log = TestLog::new();
    let at = Position::new(7, 50);
    for (cursor, lost) in [(Cursor::Newest, false), (Cursor::Before(at), true), (Cursor::After(at), true)] {
        let page = log.read(cursor, 100).await.unwrap();
        assert_eq!((page.messages.len(), page.more, page.lost), (0, false, lost), "{cursor:?}");
    }
    let page = log.read(Cursor::Newest, 100).await.unwrap();
    assert_eq!(page.to_json(), r#"{"messages":[],"before":null,"after":null,"more":false,"lost":false}"#);
}

#[tokio::test(start_paused = true)]
async fn parts_that_another_program_wrote_spoil_nothing() {
    for (bytes, sealed, expected) in [
        (&b"x"[..], false, "new"),
        (b"\n\n\n", false, "new"),
        (b"[1,2]\nhalf a li", false, "new"),
        (b"\xff\xfe\n", true, "new"),
        (b"{\"id\":\"old\",\"sender\":\"ann\",\"text\":\"hi\"}\n", false, "old new"),
        (&[b'x'; 3 << 20], false, "new"),
    ] {
        let log = TestLog::new();
        log.store.put(&log.stream, 7, bytes, sealed);
        log.say("new", "ann", "hi").await;
        let page = log.other().read(Cursor::Newest, 100).await.unwrap();
        let name = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]);
        assert_eq!(ids(&page), expected, "{name}");
        let after = page.after.unwrap();
        log.say("newer", "ann", "hi").await;
        assert_eq!(ids(&log.other().read(Cursor::After(after), 100).await.unwrap()), "newer", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_at_most_a_mebibyte() {
    let log = TestLog::new();
    for index in 0..40 {
        log.say(&index.to_string(), "ann", &"x".repeat(60_000)).await;
    }
    let newest = log.other().read(Cursor::Newest, 100).await.unwrap();
    assert!((15..18).contains(&newest.messages.len()) && newest.to_json().len() <= 1 << 20 && newest.more);
    let before = log.other().read(Cursor::Before(newest.before.unwrap()), 100).await.unwrap();
    let between = format!("{} {}", ids(&before), ids(&newest));
    assert!(
        between.ends_with("36 37 38 39") && between.split(' ').count() == before.messages.len() + newest.messages.len()
    );
    assert!(between.split(' ').map(|id| id.parse::<u32>().unwrap()).is_sorted());
    let first = messages(&log.read(Cursor::Newest, 100).await.unwrap()).len();
    let oldest = Position::new(newest.after.unwrap().part, 0);
    assert!(first > 0 && log.read(Cursor::After(oldest), 1).await.is_err());
    let after = log.other().read(Cursor::After(before.before.unwrap()), 100).await.unwrap();
    assert!(after.more && after.to_json().len() <= 1 << 20);
    assert_eq!(messages(&after)[0], messages(&before)[0]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_a_part_of_the_private_stream() {
    let log = TestLog::new();
    let stream = Stream::person("ann");
    let say = async |sender: &str, recipient: &str| {
        let line =
            json!({"id": "1", "sender": sender, "recipient": recipient, "text": format!("{sender}-{recipient}")});
        log.log.append(&stream, line.to_string().into_bytes()).await.unwrap();
    };
    for (sender, recipient) in [("ann", "bob"), ("bob", "ann"), ("ann", "eve"), ("eve", "ann"), ("ann", "ann")] {
        say(sender, recipient).await;
    }
    for (other, expected) in
        [("bob", &["ann-bob", "bob-ann"][..]), ("eve", &["ann-eve", "eve-ann"]), ("ann", &["ann-ann"]), ("Bob", &[])]
    {
        let filter = Filter::With { owner: "ann", other };
        let page = log.log.page(&stream, Cursor::Newest, 100, filter, Instant::now()).await.unwrap();
        let texts: Vec<_> =
            messages(&page).iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
        assert_eq!(texts, expected, "{other}");
        assert_eq!(page.before, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_removed_by_its_sender_only() {
    let log = TestLog::new();
    let at = log.say("1", "ann", "oh no").await;
    log.say("1", "bob", "same id").await;
    log.say("1", "ann", "said again, in other words").await;
    let guest = json!({"id": "2", "sender": "Zed (guest)", "isGuest": true, "text": "hi"}).to_string();
    let guest = log.log.append(&log.stream, guest.into_bytes()).await.unwrap().at;
    let now = Instant::now();
    for (at, sender, expected) in [
        (at, "bob", HistoryError::NotSender),
        (at, "Ann", HistoryError::NotSender),
        (guest, "Zed (guest)", HistoryError::NotSender),
        (Position::new(at.part, at.offset + 1), "ann", HistoryError::InvalidCursor),
        (Position::new(at.part - 1, 50), "ann", HistoryError::InvalidCursor),
        (Position::new(at.part + 1, 50), "ann", HistoryError::InvalidCursor),
    ] {
        assert_eq!(log.log.remove(&log.stream, at, sender, now).await, Err(expected), "{at} {sender}");
    }
    let private = Stream::person("ann");
    assert_eq!(log.log.remove(&private, at, "ann", now).await, Err(HistoryError::InvalidCursor));
    for _ in 0..2 {
        assert_eq!(log.log.remove(&log.stream, at, "ann", now).await, Ok("1".to_owned()));
    }
    let list = log.store.read_document("removed/tea.jsonl").await.unwrap().unwrap();
    let hash = "fd57e06af35f52f09617b15a0eb733c7";
    assert_eq!(list.content, format!("{{\"part\":{},\"message\":\"{hash}\"}}\n", at.part));
    // For this process at once, for others after a second at the latest.
    for log in [&log, &log.other()] {
        let read = messages(&log.read(Cursor::Newest, 100).await.unwrap());
        let expected =
            json!({"id": "1", "sender": "ann", "removed": true, "at": at.to_string(), "next": read[0]["next"]});
        assert_eq!(read[0], expected);
        assert_eq!(
            (&read[1]["text"], &read[2]["removed"], &read[3]["text"]),
            (&json!("same id"), &json!(true), &json!("hi"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn other_processes_learn_of_removals_with_one_read_a_second() {
    let (log, now) = (TestLog::new(), Instant::now());
    let other = log.other();
    let [first, second, third] =
        [log.say("1", "ann", "a").await, log.say("2", "ann", "b").await, log.say("3", "ann", "c").await];
    for (index, at) in [first, second, third].into_iter().enumerate() {
        log.log.remove(&log.stream, at, "ann", now).await.unwrap();
        sleep(Duration::from_millis(1_001)).await;
        log.store.take_calls();
        let read = messages(&other.read(Cursor::Newest, 100).await.unwrap());
        let removed = read.iter().filter(|message| message["removed"] == json!(true)).count();
        assert_eq!(removed, index + 1);
        // The listing, the tail, and the list of removals.
        assert_eq!(log.calls(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pages_that_miss_the_same_line_share_few_reads() {
    let log = TestLog::new();
    let mut positions = Vec::new();
    for index in 0..100 {
        positions.push(log.say(&index.to_string(), "ann", "hi").await);
    }
    let other = log.other();
    log.store.take_calls();
    // In bursts, while others write.
    for burst in 0..10 {
        log.say(&format!("new-{burst}"), "ann", "hi").await;
        log.store.take_calls();
        let pages = (0..100).map(|page| other.read(Cursor::After(positions[90 + page % 10]), 50));
        for page in join_all(pages).await {
            assert!(!page.unwrap().messages.is_empty());
        }
        sleep(Duration::from_millis(50)).await;
        assert!(log.calls() <= if burst == 0 { 3 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_reads_what_it_has_just_written() {
    let log = TestLog::over(MemoryStore::new(7));
    for index in 0..20 {
        log.say(&index.to_string(), "ann", "hi").await;
        let page = log.read(Cursor::Newest, 1).await.unwrap();
        assert_eq!(ids(&page), index.to_string());
        assert_eq!(log.read(Cursor::After(page.after.unwrap()), 1).await.unwrap().messages.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_past_the_kept_tail_is_read_from_the_store() {
    let (log, other) = (TestLog::new(), TestLog::new());
    let other = TestLog { log: HistoryLog::new(Arc::new(log.store.clone())), ..other };
    log.say("1", "ann", "hi").await;
    assert_eq!(ids(&other.read(Cursor::Newest, 9).await.unwrap()), "1");
    let second = log.say("2", "ann", "hi").await;
    let third = log.say("3", "ann", "hi").await;
    assert_eq!(ids(&other.read(Cursor::After(third), 9).await.unwrap()), "3");
    assert_eq!(ids(&other.read(Cursor::After(second), 9).await.unwrap()), "2 3");
}

/// The futures of a request contain each other, and an unoptimized build copies each of them on a stack of 2 MiB.
#[tokio::test]
async fn the_futures_of_the_log_are_small() {
    let log = TestLog::new();
    let (stream, now) = (Stream::everyone(), Instant::now());
    let page = log.log.page(&stream, Cursor::Newest, 50, Filter::All, now);
    let remove = log.log.remove(&stream, Position::new(1, 0), "ann", now);
    let append = log.log.append(&stream, Vec::new());
    let sizes = [size_of_val(&page), size_of_val(&remove), size_of_val(&append), size_of_val(&log.log.erase(&stream))];
    assert!(sizes.iter().all(|size| *size <= 16 * 1_024), "{sizes:?}");
}
