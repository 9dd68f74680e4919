//! What the service has seen last: calls, frames, and posts to the upstream.
//!
//! It is read by people and tests, so nothing in it opens anything: no header is kept, and of queries only values that are
//! known to be harmless. The time is an argument, in milliseconds since 1970.

mod redaction;
mod ring;

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use serde::{Serialize, Serializer};

pub(crate) use redaction::harmless_query;
pub(crate) use ring::{Limits, Numbered, Ring};

/// Longest text of a frame that is kept, in bytes.
const LONGEST_TEXT: usize = 2 << 10;

/// How much is remembered of each kind.
const LIMITS: Limits = Limits { entries: 1_000, bytes: 4 << 20 };

/// One request to the service, answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    /// When it came.
    pub(crate) at: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) query: String,
    pub(crate) status: u16,
    pub(crate) milliseconds: u64,
    /// Why not, in the words of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<String>,
}

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Direction {
    FromClient,
    ToClient,
}

/// One message of a hub protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) direction: Direction,
    #[serde(flatten, serialize_with = "shared")]
    pub(crate) side: Arc<Side>,
    /// As the hub protocols number them; `None` for handshakes.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<u64>,
    /// In bytes, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<usize>,
    /// Its [beginning], where it is text, perhaps with its separator. What goes to many clients is kept once.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_separator")]
    pub(crate) text: Option<Utf8Bytes>,
}

/// Whose messages they are.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Side {
    pub(crate) hub: String,
    pub(crate) connection: String,
}

/// One event posted to the upstream, or meant to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Post {
    pub(crate) at: u64,
    /// Without its query, where keys of functions stand. `None` when the names of the event made no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    pub(crate) hub: String,
    pub(crate) connection: String,
    pub(crate) category: &'static str,
    pub(crate) event: String,
    /// What came of it, as a clause.
    pub(crate) outcome: String,
    pub(crate) milliseconds: u64,
}

/// Everything that is remembered.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) calls: Ring<Call>,
    pub(crate) frames: Ring<Seen>,
    pub(crate) posts: Ring<Post>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { calls: Ring::new(LIMITS), frames: Ring::new(LIMITS), posts: Ring::new(LIMITS) }
    }

    /// Numbers go on.
    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.frames.clear();
        self.posts.clear();
    }

    pub(crate) fn call(&mut self, call: Call) {
        let Call { method, path, query, refusal, .. } = &call;
        let texts = method.len() + path.len() + query.len() + refusal.as_ref().map_or(0, String::len);
        self.calls.push(call, texts);
    }

    pub(crate) fn frame(&mut self, frame: Seen) {
        let Side { hub, connection } = &*frame.side;
        let texts = hub.len() + connection.len() + frame.text.as_ref().map_or(0, |text| text.len());
        self.frames.push(frame, texts);
    }

    pub(crate) fn post(&mut self, post: Post) {
        let Post { url, hub, connection, event, outcome, .. } = &post;
        let url = url.as_ref().map_or(0, String::len);
        let texts = url + hub.len() + connection.len() + event.len() + outcome.len();
        self.posts.push(post, texts);
    }
}

/// The beginning of a text, whole characters of it, and all of a short one.
pub(crate) fn beginning(text: &str) -> String {
    match cut(text) {
        Some(beginning) => beginning,
        None => text.to_owned(),
    }
}

/// The same of a text that others have too. A short one is shared with them.
pub(crate) fn shared_beginning(text: &Utf8Bytes) -> Utf8Bytes {
    cut(text).map_or_else(|| text.clone(), Utf8Bytes::from)
}

/// What is left of a text that is too long.
fn cut(text: &str) -> Option<String> {
    let is_long = text.len() > LONGEST_TEXT;
    is_long.then(|| [&text[..text.floor_char_boundary(LONGEST_TEXT)], "…"].concat())
}

fn shared<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
    side.serialize(serializer)
}

fn without_separator<S: Serializer>(text: &Option<Utf8Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(|text| text.trim_end_matches('\u{1e}')).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_beginning_is_left() {
        assert_eq!(beginning("short"), "short");
        let text = ["a", "é".repeat(4_500).as_str()].concat();
        assert_eq!(beginning(&text), ["a", "é".repeat(1_023).as_str(), "…"].concat());
    }

    #[test]
    fn what_went_to_many_is_kept_once_and_shown_without_its_separator() {
        let text = Utf8Bytes::from("{}\u{1e}");
        let mut journal = Journal::new();
        for connection in ["a", "b"] {
            let side = Arc::new(Side { hub: "chat".into(), connection: connection.into() });
            let (direction, text) = (Direction::ToClient, Some(shared_beginning(&text)));
            journal.frame(Seen { at: 1, direction, side, kind: None, size: Some(3), text });
        }
        let entries: Vec<_> = journal.frames.after(0).collect();
        let places = entries.iter().map(|seen| seen.entry.text.as_ref().unwrap().as_ptr());
        assert!(places.into_iter().all(|place| place == text.as_ptr()));
        assert_eq!(
            serde_json::to_string(entries[1]).unwrap(),
            r#"{"number":2,"at":1,"direction":"toClient","hub":"chat","connection":"b","size":3,"text":"{}"}"#
        );
    }

    #[test]
    fn an_entry_says_only_what_there_is_to_say() {
        let mut journal = Journal::new();
        journal.call(Call {
            at: 1_700_000_000_000,
            method: "POST".into(),
            path: "/api/hubs/chat/:send".into(),
            query: String::new(),
            status: 202,
            milliseconds: 1,
            refusal: None,
        });
        let entry = journal.calls.after(0).next().unwrap();
        assert_eq!(
            serde_json::to_string(entry).unwrap(),
            r#"{"number":1,"at":1700000000000,"method":"POST","path":"/api/hubs/chat/:send","status":202,"milliseconds":1}"#
        );
    }
}
