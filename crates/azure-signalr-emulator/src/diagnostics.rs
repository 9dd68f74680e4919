//! The data of the control API: injected faults, the traffic log, and the recorder that fills the log.
//!
//! The text of a message is recorded for JSON clients only, and of an invocation only the part that an upstream receives: some
//! clients put their access token into headers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::fault_injection::Faults;
use crate::hub::{ConnectionId, HubName};
use crate::protocol::handshake::HandshakeError;
use crate::protocol::{ClientMessage, Frame, Outcome};
use crate::traffic_log::{Direction, MessageRecord, PostRecord, TrafficLog, truncated};
use crate::upstream::WebhookRecord;

/// The injected faults and the traffic log. Exists where `Options::control` is set. The two locks are never held together.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    faults: Mutex<Faults>,
    traffic_log: Mutex<TrafficLog>,
}

impl Diagnostics {
    pub(crate) fn new() -> Self {
        Self { faults: Mutex::default(), traffic_log: Mutex::new(TrafficLog::new()) }
    }

    /// Poisoning is ignored: no update can panic halfway.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Poisoning is ignored: no update can panic halfway.
    pub(crate) fn traffic_log(&self) -> MutexGuard<'_, TrafficLog> {
        self.traffic_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a message that was queued for some recipients, of which `first` is one.
    pub(crate) fn record_sent(&self, hub: &HubName, first: ConnectionId, recipients: usize, frame: &Frame) {
        let connection = (recipients == 1).then_some(first);
        self.record(Direction::ToClient, hub.clone(), connection, Some(recipients), summarize_sent(frame));
    }

    fn record(
        &self,
        direction: Direction,
        hub: HubName,
        connection: Option<ConnectionId>,
        recipients: Option<usize>,
        Summary { kind, size, text, error }: Summary,
    ) {
        let at = unix_milliseconds();
        let message = MessageRecord { at, direction, hub, connection, recipients, kind, size, text, error };
        self.traffic_log().push_message(message);
    }
}

/// The wall clock in milliseconds since 1970. A clock set before 1970 gives 0, for which no token is valid yet.
pub(crate) fn unix_milliseconds() -> u64 {
    to_milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn to_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Records the messages and upstream posts of one connection.
pub(crate) struct MessageRecorder {
    diagnostics: Arc<Diagnostics>,
    hub: HubName,
    connection: ConnectionId,
}

/// What is recorded of a message itself.
#[derive(Debug, Default, PartialEq)]
struct Summary {
    kind: Option<u64>,
    size: Option<usize>,
    text: Option<String>,
    /// Why it was rejected.
    error: Option<String>,
}

impl MessageRecorder {
    pub(crate) fn new(diagnostics: Arc<Diagnostics>, hub: HubName, connection: ConnectionId) -> Self {
        Self { diagnostics, hub, connection }
    }

    pub(crate) fn received(&self, message: &ClientMessage) {
        self.record_received(summarize_received(message));
    }

    fn record_received(&self, summary: Summary) {
        let (hub, connection) = (self.hub.clone(), Some(self.connection.clone()));
        self.diagnostics.record(Direction::FromClient, hub, connection, None, summary);
    }

    /// The text of the request is not recorded, only the reason.
    pub(crate) fn rejected_handshake(&self, error: &HandshakeError) {
        self.record_received(Summary { error: Some(error.reason()), ..Summary::default() });
    }

    /// Records a message to this client alone.
    pub(crate) fn sent(&self, frame: &Frame) {
        self.diagnostics.record_sent(&self.hub, self.connection.clone(), 1, frame);
    }

    pub(crate) fn posted(&self, post: WebhookRecord) {
        let WebhookRecord { category, event, url, outcome, took } = post;
        let (milliseconds, outcome) = (to_milliseconds(took), outcome.to_string());
        let at = unix_milliseconds().saturating_sub(milliseconds);
        let (hub, connection) = (self.hub.to_string(), self.connection.to_string());
        let post = PostRecord { at, url, hub, connection, category, event, outcome, milliseconds };
        self.diagnostics.traffic_log().push_post(post);
    }
}

fn summarize_received(message: &ClientMessage) -> Summary {
    let (kind, size, text) = match message {
        ClientMessage::Invocation { forwarded, .. } => {
            (1, Some(forwarded.len()), std::str::from_utf8(forwarded).ok().map(truncated))
        }
        ClientMessage::StreamItem { .. } => (2, None, None),
        ClientMessage::Completion { outcome, .. } => (3, None, outcome_text(outcome)),
        ClientMessage::StreamInvocation { target, .. } => (4, None, Some(truncated(target))),
        ClientMessage::CancelInvocation { .. } => (5, None, None),
        ClientMessage::Ping => (6, None, None),
        ClientMessage::Close { error } => (7, None, error.as_deref().map(truncated)),
        ClientMessage::Ack(number) => (8, None, Some(number.to_string())),
        ClientMessage::Sequence(number) => (9, None, Some(number.to_string())),
        ClientMessage::Other(kind) => (*kind, None, None),
    };
    Summary { kind: Some(kind), size, text, error: None }
}

fn outcome_text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Void => None,
        Outcome::Result(result) => Some(truncated(result.get())),
        Outcome::Error(error) => Some(truncated(error)),
    }
}

fn summarize_sent(frame: &Frame) -> Summary {
    let text = frame.as_text();
    let kind = match text {
        Some(text) => json_type(text),
        None => messagepack_type(frame.payload()),
    };
    Summary { kind, size: Some(frame.len()), text: text.map(truncated), error: None }
}

/// The type of a JSON message; `None` for a handshake response, or for several messages that a caller put into one frame.
/// Messages encoded here start with their type, so a broadcast is not parsed for each client.
fn json_type(text: &str) -> Option<u64> {
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

/// The type of a MessagePack message: the first element of the array, after the length prefix.
fn messagepack_type(bytes: &[u8]) -> Option<u64> {
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
    fn sent_messages_are_recorded_with_their_type_in_either_protocol() {
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
                let summary = summarize_sent(&frame);
                assert_eq!((summary.kind, summary.size), (Some(kind), Some(frame.len())), "{message:?}");
                assert_eq!(summary.text.is_some(), protocol == Protocol::Json);
            }
        }
    }

    #[test]
    fn a_handshake_response_has_no_type() {
        let summary = summarize_sent(&Frame::text("{}\u{1e}"));
        assert_eq!((summary.kind, summary.size, summary.text.as_deref()), (None, Some(3), Some("{}\u{1e}")));
        assert_eq!(summarize_sent(&Frame::binary(&[0xff])).kind, None);
    }

    #[test]
    fn an_invocation_is_recorded_as_an_upstream_receives_it() {
        let forwarded = bytes::Bytes::from_static(br#"{"type":1,"target":"t","arguments":[]}"#);
        let message = ClientMessage::Invocation { id: None, target: "t".into(), forwarded };
        let text = summarize_received(&message).text.unwrap();
        assert_eq!(text, r#"{"type":1,"target":"t","arguments":[]}"#);
    }
}
