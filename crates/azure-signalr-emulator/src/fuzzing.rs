//! What the fuzz targets call: all that reads what strangers send, and what must be true of it for any bytes.
//!
//! It is no part of the crate's interface and only there with the feature `fuzzing`; its functions panic where a bug is.

use bytes::Bytes;

use crate::protocol::{ClientMessage, Incoming, Malformed, Protocol, ServerMessage, prepared};
use crate::rest::{Filter, Subject};

/// Longest message, in bytes: short enough that the limit is met often.
const LIMIT: usize = 1 << 12;

/// Reads a stream of the JSON hub protocol.
pub fn json(bytes: &[u8]) {
    hub_messages(Protocol::Json, bytes);
}

/// Reads a stream of the MessagePack hub protocol.
pub fn messagepack(bytes: &[u8]) {
    hub_messages(Protocol::MessagePack, bytes);
}

/// Reads the octet-stream body of a REST call.
pub fn prepared(bytes: &[u8]) {
    if let Ok(message) = prepared::read(&Bytes::copy_from_slice(bytes)) {
        for protocol in [Protocol::Json, Protocol::MessagePack] {
            if let Some(frame) = message.frame(protocol) {
                prepared::frame(protocol, frame.into()).expect("what was read as a frame is one");
            }
        }
    }
}

/// Reads the filter of `:execute`, and applies it.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(filter) = Filter::parse(text) else { return };
    // What is printed may be longer than what may be read, and then it is not read.
    if let Ok(again) = Filter::parse(&filter.to_string()) {
        for user in [None, Some("ann")] {
            let subject = Subject { connection: "c1", user, groups: &["one", "two"] };
            assert_eq!(filter.matches(subject), again.matches(subject), "{filter}");
        }
    }
}

/// The same messages are read in any chunks, and mean the same when they are passed on.
fn hub_messages(protocol: Protocol, bytes: &[u8]) {
    let whole = read(protocol, bytes, bytes.len());
    assert_eq!(read(protocol, bytes, 1), whole, "byte by byte");
    assert_eq!(read(protocol, bytes, 7), whole, "in sevens");
    for message in whole.iter().flatten() {
        pass_on(protocol, message);
    }
}

/// All messages of a stream that comes in chunks of this length, and at last what was malformed.
fn read(protocol: Protocol, stream: &[u8], chunk: usize) -> Vec<Result<ClientMessage, Malformed>> {
    let (mut incoming, mut messages) = (Incoming::new(LIMIT), Vec::new());
    for chunk in stream.chunks(chunk.max(1)) {
        incoming.push(chunk);
        while let Some(message) = incoming.next(protocol).transpose() {
            let is_over = message.is_err();
            messages.push(message);
            if is_over {
                return messages;
            }
        }
    }
    messages
}

/// An upstream reads what the service read, and a completion reaches whoever waits for it, in both protocols.
fn pass_on(protocol: Protocol, message: &ClientMessage) {
    match message {
        ClientMessage::Invocation { forwarded, .. } => {
            assert_eq!(protocol.read(forwarded).as_ref(), Ok(message), "read again");
        }
        ClientMessage::Completion { id, outcome } => {
            for protocol in [Protocol::Json, Protocol::MessagePack] {
                let frame = protocol.encode(&ServerMessage::Completion { id, outcome });
                let (_, again) =
                    prepared::frame(protocol, frame.into()).expect("what is encoded is one frame");
                let ClientMessage::Completion { id: same, .. } = &again else { panic!("{again:?}") };
                assert_eq!(same, id);
                assert!(protocol == Protocol::MessagePack || again == *message, "{again:?}");
            }
        }
        _ => {}
    }
}
