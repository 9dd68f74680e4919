//! A page of the history: some messages of a stream in the order of their positions, and the range of the log that they are.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde_json::Value;

use super::line::MessageFields;
use super::position::Position;
use super::removals::RemovedMessages;
use super::scan::{Next, ScannedLine};

/// The longest answer.
const MAX_PAGE_BYTES: usize = 1 << 20;
/// The most of a log that is searched for the messages of one page.
const MAX_SCANNED_BYTES: usize = 4 << 20;
/// More than what a page needs beside its messages.
const FRAME_BYTES: usize = 256;

/// Where a page is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// The newest messages.
    Newest,
    /// The messages before a position.
    Before(Position),
    /// The messages after a position.
    After(Position),
}

/// Which messages of the log a page contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter<'a> {
    /// All of them.
    All,
    /// Those of the private stream of `owner` that `other` has sent or received.
    With {
        /// The user id whose stream it is.
        owner: &'a str,
        /// The other user id.
        other: &'a str,
    },
}

impl Filter<'_> {
    fn matches(&self, fields: &MessageFields<'_>) -> bool {
        match *self {
            Self::All => true,
            Self::With { owner, other } if fields.sender == owner => fields.recipient.as_deref() == Some(other),
            Self::With { other, .. } => fields.sender == other,
        }
    }
}

/// Some messages, and the range of the log that they are. It has no other messages, unless there is a filter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// JSON objects, the oldest first: as they were published, with `at` and `next`. A message that was removed has `removed` and no text.
    pub(crate) messages: Vec<String>,
    /// Where the range begins; `None` at the beginning of the log.
    pub(crate) before: Option<Position>,
    /// Where the range ends; `None` if the log has no part.
    pub(crate) after: Option<Position>,
    /// There are more messages in the direction of the page.
    pub(crate) more: bool,
    /// Messages at the cursor are gone.
    pub(crate) lost: bool,
    /// How many lines in the range are no messages.
    pub(crate) bad_lines: usize,
}

impl Page {
    /// The page as a JSON object.
    pub(crate) fn to_json(&self) -> String {
        let position = |position: Option<Position>| position.map_or("null".to_owned(), |at| format!("\"{at}\""));
        format!(
            r#"{{"messages":[{}],"before":{},"after":{},"more":{},"lost":{}}}"#,
            self.messages.join(","),
            position(self.before),
            position(self.after),
            self.more,
            self.lost
        )
    }
}

/// Collects the messages of a page.
pub(super) struct PageBuilder<'a> {
    filter: Filter<'a>,
    limit: usize,
    removed: &'a RemovedMessages,
    messages: Vec<Entry>,
    page_bytes: usize,
    scanned_bytes: usize,
    bad_lines: usize,
    /// Keyed at random, so that no two messages can be made to have the same hash.
    hasher: RandomState,
}

struct Entry {
    json: String,
    /// Equal for lines that say the same: same sender, id and text.
    hash: u64,
}

impl<'a> PageBuilder<'a> {
    pub(super) fn new(filter: Filter<'a>, limit: usize, removed: &'a RemovedMessages) -> Self {
        Self {
            filter,
            limit,
            removed,
            messages: Vec::new(),
            page_bytes: FRAME_BYTES,
            scanned_bytes: 0,
            bad_lines: 0,
            hasher: RandomState::new(),
        }
    }

    /// Takes the next line, in either direction.
    pub(super) fn add(&mut self, line: &ScannedLine) -> Next {
        self.scanned_bytes += line.content.len() + 1;
        match MessageFields::parse(&line.content) {
            None => self.bad_lines += 1,
            Some(fields) if self.filter.matches(&fields) => {
                let json = self.to_json(line, &fields);
                if self.page_bytes + json.len() > MAX_PAGE_BYTES && !self.messages.is_empty() {
                    return Next::StopBefore;
                }
                self.page_bytes += json.len() + 1;
                let hash = self.hasher.hash_one((&fields.sender, fields.is_guest, &fields.id, &fields.text));
                self.messages.push(Entry { json, hash });
            }
            Some(_) => {}
        }
        let is_full = self.messages.len() >= self.limit || self.scanned_bytes >= MAX_SCANNED_BYTES;
        if is_full { Next::Stop } else { Next::Continue }
    }

    /// The messages, which were added with the oldest first.
    pub(super) fn finish(self) -> (Vec<String>, usize) {
        let mut said = HashSet::new();
        let messages = self.messages.into_iter().filter(|entry| said.insert(entry.hash));
        (messages.map(|entry| entry.json).collect(), self.bad_lines)
    }

    /// The messages, which were added with the newest first.
    pub(super) fn finish_reversed(mut self) -> (Vec<String>, usize) {
        self.messages.reverse();
        self.finish()
    }

    fn to_json(&self, line: &ScannedLine, fields: &MessageFields<'_>) -> String {
        let text = String::from_utf8_lossy(&line.content);
        let object = text.trim_ascii_end();
        // Guests cannot remove messages, and a user may be called like one.
        let is_removed = !fields.is_guest && self.removed.contains(&fields.sender, &fields.id);
        let object = if is_removed { without_text(object) } else { object.to_owned() };
        let fields = object.strip_suffix('}').unwrap_or(&object);
        format!(r#"{fields},"at":"{}","next":"{}"}}"#, line.begin, line.end)
    }
}

/// The message without what it said.
fn without_text(message: &str) -> String {
    let mut message: Value = serde_json::from_str(message).unwrap_or_default();
    if let Some(fields) = message.as_object_mut() {
        fields.remove("text");
        fields.insert("removed".to_owned(), true.into());
    }
    message.to_string()
}
