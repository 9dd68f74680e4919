//! The functions behind the fuzz targets: they parse any bytes, and panic when a property does not hold.
//!
//! Only with the feature `fuzzing`; not part of the public API.

use bytes::Bytes;

use crate::protocol::outgoing_message::{parse_body, parse_frame};
use crate::protocol::{ClientMessage, MalformedMessage, MessageReader, Protocol, ServerMessage};
use crate::rest::{Filter, Subject};

/// Maximum length of a message: small, so that inputs exceed it often.
const MAX_MESSAGE_BYTES: usize = 1 << 12;

/// Reads a stream of the JSON hub protocol.
pub fn json(bytes: &[u8]) {
    hub_messages(Protocol::Json, bytes);
}

/// Reads a stream of the MessagePack hub protocol.
pub fn messagepack(bytes: &[u8]) {
    hub_messages(Protocol::MessagePack, bytes);
}

/// Reads the octet-stream body of a REST call.
pub fn octet_stream_body(bytes: &[u8]) {
    if let Ok(message) = parse_body(&Bytes::copy_from_slice(bytes)) {
        for protocol in [Protocol::Json, Protocol::MessagePack] {
            if let Some(frame) = message.frame(protocol) {
                parse_frame(protocol, frame.into()).expect("a parsed frame is valid");
            }
        }
    }
}

/// Reads the filter of `:execute`, and applies it.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(filter) = Filter::parse(text) else { return };
    // The printed filter can be longer than the maximum length.
    if let Ok(again) = Filter::parse(&filter.to_string()) {
        for user in [None, Some("ann")] {
            let subject = Subject { connection: "c1", user, groups: &["one", "two"] };
            assert_eq!(filter.matches(subject), again.matches(subject), "{filter}");
        }
    }
}

/// The messages are the same in any chunks, and are equal after they are forwarded.
fn hub_messages(protocol: Protocol, bytes: &[u8]) {
    let whole = read(protocol, bytes, bytes.len());
    assert_eq!(read(protocol, bytes, 1), whole, "in chunks of one byte");
    assert_eq!(read(protocol, bytes, 7), whole, "in chunks of seven bytes");
    for message in whole.iter().flatten() {
        forward(protocol, message);
    }
}

/// All messages of a stream in chunks of this length, up to the first error.
fn read(protocol: Protocol, stream: &[u8], chunk: usize) -> Vec<Result<ClientMessage, MalformedMessage>> {
    let (mut reader, mut messages) = (MessageReader::new(MAX_MESSAGE_BYTES), Vec::new());
    for chunk in stream.chunks(chunk.max(1)) {
        reader.push(chunk);
        while let Some(message) = reader.next_message(protocol).transpose() {
            let is_over = message.is_err();
            messages.push(message);
            if is_over {
                return messages;
            }
        }
    }
    messages
}

/// An upstream reads the same invocation, and a REST caller the same completion, in both protocols.
fn forward(protocol: Protocol, message: &ClientMessage) {
    match message {
        ClientMessage::Invocation { forwarded, .. } => {
            assert_eq!(protocol.decode(forwarded).as_ref(), Ok(message), "read again");
        }
        ClientMessage::Completion { id, outcome } => {
            for protocol in [Protocol::Json, Protocol::MessagePack] {
                let frame = protocol.encode(&ServerMessage::Completion { id, outcome });
                let (_, again) = parse_frame(protocol, frame.into()).expect("an encoded message is one frame");
                let ClientMessage::Completion { id: same, .. } = &again else { panic!("{again:?}") };
                assert_eq!(same, id);
                assert!(protocol == Protocol::MessagePack || again == *message, "{again:?}");
            }
        }
        _ => {}
    }
}
