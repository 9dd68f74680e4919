//! What the service has seen last: calls, frames, and posts to the upstream.
//!
//! It is read by people and tests, so nothing in it opens anything: no header is kept, and of queries only values that are
//! known to be harmless. The time is an argument, in milliseconds since 1970.

mod redaction;
mod ring;

use serde::Serialize;

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
    pub(crate) hub: String,
    pub(crate) connection: String,
    /// As the hub protocols number them; `None` for handshakes.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<u64>,
    /// In bytes, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<usize>,
    /// Its [beginning], where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
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
        let Seen { hub, connection, text, .. } = &frame;
        let texts = hub.len() + connection.len() + text.as_ref().map_or(0, String::len);
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
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    [&text[..text.floor_char_boundary(LONGEST_TEXT)], "…"].concat()
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
