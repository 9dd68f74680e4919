//! What connections say and what is posted of them, for the journal.
//!
//! Only messages of JSON clients are shown as text, and of what clients send only what an upstream would get: some put
//! their access token into headers.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use serde::Deserialize;

use super::{Watch, unix_milliseconds};
use crate::journal::{Direction, Post, Seen, Side, beginning, shared_beginning};
use crate::protocol::{ClientMessage, Frame, Outcome};
use crate::upstream;

/// Whoever writes down what happens to one connection.
pub(crate) struct Witness {
    watch: Arc<Watch>,
    side: Arc<Side>,
}

/// What is told of a message.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    kind: Option<u64>,
    size: Option<usize>,
    text: Option<Utf8Bytes>,
}

impl Witness {
    pub(super) fn new(watch: Arc<Watch>, hub: &str, connection: &str) -> Self {
        Self { watch, side: Arc::new(Side { hub: hub.to_owned(), connection: connection.to_owned() }) }
    }

    /// A client said something.
    pub(crate) fn heard(&self, message: &ClientMessage) {
        self.saw(Direction::FromClient, heard(message));
    }

    /// Something goes out to the client.
    pub(crate) fn said(&self, frame: &Frame) {
        self.saw(Direction::ToClient, said(frame));
    }

    /// Something that happened to the client, or that it said, was posted to the upstream.
    pub(crate) fn posted(&self, post: upstream::WebhookRecord) {
        let upstream::WebhookRecord { category, event, url, outcome, took } = post;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.watch.journal().post(Post {
            at: unix_milliseconds().saturating_sub(milliseconds),
            url,
            hub: self.side.hub.clone(),
            connection: self.side.connection.clone(),
            category,
            event,
            outcome: outcome.to_string(),
            milliseconds,
        });
    }

    fn saw(&self, direction: Direction, Account { kind, size, text }: Account) {
        let seen = Seen { at: unix_milliseconds(), direction, side: self.side.clone(), kind, size, text };
        self.watch.journal().frame(seen);
    }
}

fn heard(message: &ClientMessage) -> Account {
    let (kind, size, text) = match message {
        ClientMessage::Invocation { forwarded, .. } => {
            (1, Some(forwarded.len()), std::str::from_utf8(forwarded).ok().map(beginning))
        }
        ClientMessage::StreamItem { .. } => (2, None, None),
        ClientMessage::Completion { outcome, .. } => (3, None, answer(outcome)),
        ClientMessage::StreamInvocation { target, .. } => (4, None, Some(beginning(target))),
        ClientMessage::CancelInvocation { .. } => (5, None, None),
        ClientMessage::Ping => (6, None, None),
        ClientMessage::Close { error } => (7, None, error.as_deref().map(beginning)),
        ClientMessage::Ack(number) => (8, None, Some(number.to_string())),
        ClientMessage::Sequence(number) => (9, None, Some(number.to_string())),
        ClientMessage::Other(kind) => (*kind, None, None),
    };
    Account { kind: Some(kind), size, text: text.map(Utf8Bytes::from) }
}

fn answer(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Void => None,
        Outcome::Result(result) => Some(beginning(result.get())),
        Outcome::Error(error) => Some(beginning(error)),
    }
}

fn said(frame: &Frame) -> Account {
    let (kind, text) = match frame {
        Frame::Text(text) => (kind_of_json(text), Some(shared_beginning(text))),
        Frame::Binary(bytes) => (kind_of_message_pack(bytes), None),
    };
    Account { kind, size: Some(frame.len()), text }
}

/// Answers to handshakes have no type; of several messages in one frame, made by a caller, nobody asks the type. Messages made
/// here begin with it, and the rest need not be read then, which matters when they go to thousands.
fn kind_of_json(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("{\"type\":").and_then(|rest| rest.split_once([',', '}']));
    if let Some((digits, _)) = digits
        && let Ok(kind) = digits.parse()
    {
        return Some(kind);
    }
    #[derive(Deserialize)]
    struct Envelope {
        r#type: Option<u64>,
    }
    serde_json::from_str::<Envelope>(text.trim_end_matches('\u{1e}')).ok()?.r#type
}

/// After the length of the message, of which all bytes but the last have the high bit, comes an array, and first in it
/// the type, one byte each.
fn kind_of_message_pack(bytes: &[u8]) -> Option<u64> {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
    match bytes.get(length..)? {
        [0x90..=0x9f, kind @ 0..=0x7f, ..] => Some(u64::from(*kind)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Protocol, ServerMessage};

    #[test]
    fn what_goes_out_is_told_by_its_type_in_either_protocol() {
        let outcome = Outcome::Error("no".repeat(200));
        let messages = [
            (ServerMessage::Completion { id: "1", outcome: &outcome }, 3),
            (ServerMessage::Ping, 6),
            (ServerMessage::Close { error: Some("bye"), allow_reconnect: true }, 7),
            (ServerMessage::Sequence(1), 9),
        ];
        for (message, kind) in messages {
            for protocol in [Protocol::Json, Protocol::MessagePack] {
                let frame = protocol.encode(&message);
                let account = said(&frame);
                assert_eq!((account.kind, account.size), (Some(kind), Some(frame.len())), "{message:?}");
                assert_eq!(account.text.is_some(), protocol == Protocol::Json);
            }
        }
    }

    #[test]
    fn the_answer_to_a_handshake_has_no_type() {
        let account = said(&Frame::Text("{}\u{1e}".into()));
        assert_eq!(account, Account { kind: None, size: Some(3), text: Some("{}\u{1e}".into()) });
        assert_eq!(said(&Frame::Binary(vec![0xff].into())).kind, None);
    }

    #[test]
    fn of_an_invocation_what_an_upstream_would_get_is_shown() {
        let forwarded = bytes::Bytes::from_static(br#"{"type":1,"target":"t","arguments":[]}"#);
        let message = ClientMessage::Invocation { id: None, target: "t".into(), forwarded };
        let text = heard(&message).text.unwrap();
        assert_eq!(text, r#"{"type":1,"target":"t","arguments":[]}"#);
    }
}
