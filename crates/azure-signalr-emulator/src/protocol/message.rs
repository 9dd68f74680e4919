//! One message for many clients, of which each speaks its own protocol.
//!
//! A frame is made once, when the first client needs it; a protocol that nobody speaks costs nothing.

use std::sync::OnceLock;

use serde_json::value::RawValue;

use super::{Frame, Protocol, ServerMessage};

/// What a REST call has for its recipients.
#[derive(Debug)]
pub(crate) struct Message {
    content: Content,
    json: OnceLock<Option<Frame>>,
    messagepack: OnceLock<Option<Frame>>,
}

#[derive(Debug)]
enum Content {
    Invocation {
        target: String,
        arguments: Box<RawValue>,
    },
    /// The caller has made the frames.
    Prepared,
}

impl Message {
    /// Calls `target` at the clients; `arguments` is a JSON array.
    pub(crate) fn invocation(target: String, arguments: Box<RawValue>) -> Self {
        let content = Content::Invocation { target, arguments };
        Self { content, json: OnceLock::new(), messagepack: OnceLock::new() }
    }

    /// A message that is there for some protocols only; clients of the others get none.
    pub(crate) fn prepared(json: Option<Frame>, messagepack: Option<Frame>) -> Self {
        Self { content: Content::Prepared, json: json.into(), messagepack: messagepack.into() }
    }

    /// The message as clients of this protocol read it, if it is for them.
    pub(crate) fn frame(&self, protocol: Protocol) -> Option<Frame> {
        let frame = match protocol {
            Protocol::Json => &self.json,
            Protocol::MessagePack => &self.messagepack,
        };
        frame.get_or_init(|| self.content.encode(protocol)).clone()
    }

    /// About how many bytes it holds, frames that are still to be made not counted.
    pub(crate) fn size(&self) -> usize {
        let content = match &self.content {
            Content::Invocation { target, arguments } => target.len() + arguments.get().len(),
            Content::Prepared => 0,
        };
        let frames = [&self.json, &self.messagepack].into_iter().filter_map(|frame| frame.get()?.as_ref());
        content + frames.map(Frame::len).sum::<usize>()
    }
}

impl Content {
    fn encode(&self, protocol: Protocol) -> Option<Frame> {
        match self {
            Self::Invocation { target, arguments } => {
                Some(protocol.encode(&ServerMessage::Invocation { id: None, target, arguments }))
            }
            Self::Prepared => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_gets_its_own_frame_and_everyone_shares_it() {
        let arguments = RawValue::from_string(r#"["x"]"#.into()).unwrap();
        let message = Message::invocation("hi".into(), arguments);
        assert_eq!(message.size(), 7);
        let json = message.frame(Protocol::Json).unwrap();
        assert_eq!(json, Frame::Text("{\"type\":1,\"target\":\"hi\",\"arguments\":[\"x\"]}\u{1e}".into()));
        assert_eq!(message.size(), 7 + json.len());
        let messagepack = message.frame(Protocol::MessagePack).unwrap();
        assert_eq!(messagepack.as_bytes(), b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90");
        for (protocol, frame) in [(Protocol::Json, json), (Protocol::MessagePack, messagepack)] {
            let again = message.frame(protocol).unwrap();
            assert_eq!(again.as_bytes().as_ptr(), frame.as_bytes().as_ptr());
        }
    }

    #[test]
    fn case_55_a_prepared_message_is_for_those_it_is_prepared_for() {
        let frame = Frame::Binary(vec![2, 0x91, 6].into());
        let message = Message::prepared(None, Some(frame.clone()));
        assert_eq!(message.size(), 3);
        assert_eq!(message.frame(Protocol::MessagePack), Some(frame));
        assert_eq!(message.frame(Protocol::Json), None);
    }
}
