//! The latest requests, messages and upstream posts, kept for the control API. The time is an argument.
//!
//! People and tests read the log, so it holds no secrets: no headers, and of a query only values that are known to be harmless.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::hub::{ConnectionId, HubName};

/// Maximum length of a recorded text; the rest is cut off.
const MAX_TEXT_BYTES: usize = 2 << 10;

/// The limits of each of the three lists.
const MAX_ENTRIES: usize = 1_000;
const MAX_BYTES: usize = 4 << 20;

/// One request and its response. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestRecord {
    pub(crate) at: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) query: String,
    pub(crate) status: u16,
    /// The time until the response.
    pub(crate) milliseconds: u64,
    /// The message of an error response.
    #[serde(rename = "refusal", skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Direction {
    FromClient,
    ToClient,
}

/// One hub message: from a client, or to one or more of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageRecord {
    pub(crate) at: u64,
    pub(crate) direction: Direction,
    #[serde(serialize_with = "hub_name")]
    pub(crate) hub: HubName,
    /// `None` for a message to several clients.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "connection_id")]
    pub(crate) connection: Option<ConnectionId>,
    /// The number of clients to which the message is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recipients: Option<usize>,
    /// The message type of the hub protocol; `None` for handshakes.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<u64>,
    /// In bytes, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<usize>,
    /// The [truncated] text of a JSON message, perhaps with its separator.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_separator")]
    pub(crate) text: Option<String>,
    /// Why a handshake request was rejected.
    #[serde(rename = "refusal", skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// One event for the upstream.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostRecord {
    pub(crate) at: u64,
    /// Without its query, which can hold function keys. `None` if the template gives no valid URL for this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    pub(crate) hub: String,
    pub(crate) connection: String,
    pub(crate) category: &'static str,
    pub(crate) event: String,
    /// The result, as a clause.
    pub(crate) outcome: String,
    pub(crate) milliseconds: u64,
}

/// The latest requests, messages and upstream posts.
#[derive(Debug)]
pub(crate) struct TrafficLog {
    pub(crate) requests: RingBuffer<RequestRecord>,
    pub(crate) messages: RingBuffer<MessageRecord>,
    pub(crate) posts: RingBuffer<PostRecord>,
}

impl TrafficLog {
    pub(crate) fn new() -> Self {
        Self {
            requests: RingBuffer::new(MAX_ENTRIES, MAX_BYTES),
            messages: RingBuffer::new(MAX_ENTRIES, MAX_BYTES),
            posts: RingBuffer::new(MAX_ENTRIES, MAX_BYTES),
        }
    }

    /// Removes all entries. Numbers continue.
    pub(crate) fn clear(&mut self) {
        self.requests.clear();
        self.messages.clear();
        self.posts.clear();
    }

    pub(crate) fn push_request(&mut self, request: RequestRecord) {
        let RequestRecord { method, path, query, error, .. } = &request;
        let bytes = method.len() + path.len() + query.len() + error.as_ref().map_or(0, String::len);
        self.requests.push(request, bytes);
    }

    pub(crate) fn push_message(&mut self, message: MessageRecord) {
        let MessageRecord { hub, connection, text, error, .. } = &message;
        let connection = connection.as_ref().map_or(0, |id| id.as_str().len());
        let texts = text.as_ref().map_or(0, String::len) + error.as_ref().map_or(0, String::len);
        let bytes = hub.as_str().len() + connection + texts;
        self.messages.push(message, bytes);
    }

    pub(crate) fn push_post(&mut self, post: PostRecord) {
        let PostRecord { url, hub, connection, event, outcome, .. } = &post;
        let url = url.as_ref().map_or(0, String::len);
        let bytes = url + hub.len() + connection.len() + event.len() + outcome.len();
        self.posts.push(post, bytes);
    }
}

/// The text, cut off after whole characters if it is too long.
pub(crate) fn truncated(text: &str) -> String {
    let is_long = text.len() > MAX_TEXT_BYTES;
    if is_long { [&text[..text.floor_char_boundary(MAX_TEXT_BYTES)], "…"].concat() } else { text.to_owned() }
}

fn hub_name<S: Serializer>(hub: &HubName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(hub.as_str())
}

fn connection_id<S: Serializer>(id: &Option<ConnectionId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(ConnectionId::as_str).serialize(serializer)
}

fn without_separator<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(|text| text.trim_end_matches('\u{1e}')).serialize(serializer)
}

/// An entry with its number, from 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) entry: T,
    #[serde(skip)]
    bytes: usize,
}

/// The latest entries, limited in number and in bytes.
///
/// Numbers are never reused, so a reader can ask for newer entries and detects a gap.
#[derive(Debug)]
pub(crate) struct RingBuffer<T> {
    /// Shared with readers, which serialize them without a lock.
    entries: VecDeque<Arc<Numbered<T>>>,
    bytes: usize,
    last: u64,
    max_entries: usize,
    max_bytes: usize,
}

impl<T> RingBuffer<T> {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, last: 0, max_entries, max_bytes }
    }

    /// Adds an entry whose texts have `text_bytes`. An entry larger than the limit is dropped with all before it.
    pub(crate) fn push(&mut self, entry: T, text_bytes: usize) {
        let bytes = size_of::<Numbered<T>>() + text_bytes;
        self.last += 1;
        self.entries.push_back(Arc::new(Numbered { number: self.last, entry, bytes }));
        self.bytes += bytes;
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The entries with a number greater than `number`, oldest first.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = &Arc<Numbered<T>>> {
        let start = self.entries.partition_point(|entry| entry.number <= number);
        self.entries.range(start..)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_text_is_truncated() {
        assert_eq!(truncated("short"), "short");
        let text = ["a", "é".repeat(4_500).as_str()].concat();
        assert_eq!(truncated(&text), ["a", "é".repeat(1_023).as_str(), "…"].concat());
    }

    #[test]
    fn a_broadcast_is_one_entry_with_the_number_of_its_recipients() {
        let mut log = TrafficLog::new();
        let broadcast = MessageRecord {
            at: 1,
            direction: Direction::ToClient,
            hub: HubName::of_client("chat").unwrap(),
            connection: None,
            recipients: Some(2),
            kind: Some(6),
            size: Some(3),
            text: Some("{}\u{1e}".into()),
            error: None,
        };
        let single =
            MessageRecord { connection: Some(ConnectionId::new("b")), recipients: Some(1), ..broadcast.clone() };
        [broadcast, single].into_iter().for_each(|record| log.push_message(record));
        let entries: Vec<_> = log.messages.after(0).map(|entry| serde_json::to_string(&**entry).unwrap()).collect();
        let [broadcast, single] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(
            broadcast,
            r#"{"number":1,"at":1,"direction":"toClient","hub":"chat","recipients":2,"type":6,"size":3,"text":"{}"}"#
        );
        assert!(single.contains(r#""hub":"chat","connection":"b","recipients":1,"#), "{single}");
    }

    #[test]
    fn absent_properties_are_not_serialized() {
        let mut log = TrafficLog::new();
        let (at, method, path, query) = (1_700_000_000_000, "POST".into(), "/api/hubs/chat/:send".into(), "".into());
        log.push_request(RequestRecord { at, method, path, query, status: 202, milliseconds: 1, error: None });
        let entry = log.requests.after(0).next().unwrap();
        assert_eq!(
            serde_json::to_string(&**entry).unwrap(),
            r#"{"number":1,"at":1700000000000,"method":"POST","path":"/api/hubs/chat/:send","status":202,"milliseconds":1}"#
        );
    }

    fn numbers<T>(ring: &RingBuffer<T>, after: u64) -> Vec<u64> {
        ring.after(after).map(|entry| entry.number).collect()
    }

    #[test]
    fn the_oldest_entries_are_removed_and_numbers_continue() {
        let mut ring = RingBuffer::new(2, 1_000);
        for text in ["a", "b", "c"] {
            ring.push(text, 1);
        }
        assert_eq!(numbers(&ring, 0), [2, 3]);
        assert_eq!(numbers(&ring, 2), [3]);
        assert_eq!(numbers(&ring, 9), Vec::<u64>::new());
        ring.clear();
        ring.push("d", 1);
        assert_eq!(numbers(&ring, 0), [4]);
    }

    #[test]
    fn an_entry_larger_than_the_limit_empties_the_buffer() {
        let mut ring = RingBuffer::new(9, 200);
        ring.push((), 10);
        ring.push((), 1_000);
        assert_eq!((numbers(&ring, 0), ring.bytes), (vec![], 0));
        ring.push((), 10);
        assert_eq!(numbers(&ring, 0), [3]);
    }

    proptest! {
        #[test]
        fn the_newest_entries_within_the_limits_are_kept(sizes in prop::collection::vec(0..400usize, 0..60)) {
            let mut ring = RingBuffer::new(5, 900);
            for (index, size) in sizes.iter().enumerate() {
                ring.push((), *size);
                prop_assert!(ring.entries.len() <= 5 && ring.bytes <= 900);
                prop_assert_eq!(ring.bytes, ring.entries.iter().map(|entry| entry.bytes).sum::<usize>());
                let kept = numbers(&ring, 0);
                prop_assert_eq!(kept.last().copied(), Some(index as u64 + 1));
                prop_assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
        }
    }
}
