//! Whether bytes are what a client awaits: one completion of one invocation, framed as its hub protocol frames.
//!
//! Bytes of the upstream go to the client as they are. Anything else than a completion would leave the client waiting,
//! or make it close its connection.

use std::fmt;

use bytes::Bytes;

use crate::protocol::outgoing_message::{FramingError, parse_frame};
use crate::protocol::{ClientMessage, Frame, Protocol};

/// What was wrong with the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    Misframed(FramingError),
    NoCompletion,
    OtherInvocation,
}

/// Reads the body as one framed completion of the invocation.
pub(super) fn read(body: Bytes, protocol: Protocol, invocation_id: &str) -> Result<Frame, Misfit> {
    match parse_frame(protocol, body).map_err(Misfit::Misframed)? {
        (frame, ClientMessage::Completion { id, .. }) if id == invocation_id => Ok(frame),
        (_, ClientMessage::Completion { .. }) => Err(Misfit::OtherInvocation),
        _ => Err(Misfit::NoCompletion),
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misframed(misframed) => misframed.fmt(f),
            Self::NoCompletion => f.write_str("it is a message of another type"),
            Self::OtherInvocation => f.write_str("it is the completion of another invocation"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Result<Frame, Misfit> {
        read(Bytes::copy_from_slice(body.as_bytes()), Protocol::Json, "1")
    }

    fn message_pack(body: &[u8]) -> Result<Frame, Misfit> {
        read(Bytes::copy_from_slice(body), Protocol::MessagePack, "1")
    }

    #[test]
    fn case_76_completions_in_json_are_known() {
        for body in [
            "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\x1e",
            "{\"type\":3,\"invocationId\":\"1\",\"result\":{\"deep\":[1,{}]},\"error\":null}\x1e",
            "{\"invocationId\":\"1\",\"error\":\"no\",\"type\":3}\x1e",
            "{\"headers\":{},\"type\":3,\"invocationId\":\"\\u0031\"}\x1e",
        ] {
            assert_eq!(json(body), Ok(Frame::Text(body.into())), "{body}");
        }
    }

    #[test]
    fn what_is_no_completion_in_json_is_refused() {
        for body in [
            "{\"type\":3,\"invocationId\":\"1\"}",
            "hello",
            "hello\x1e",
            "{\"type\":3\x1e",
            "[3,\"1\",null,null]\x1e",
            "{}\x1e",
            "{\"type\":3}\x1e",
            "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"no\"}\x1e",
            "{\"type\":3,\"invocationId\":\"1\"}\x1e{\"type\":6}\x1e",
        ] {
            assert!(matches!(json(body), Err(Misfit::Misframed(_))), "{body}");
        }
        assert_eq!(json("{\"type\":1,\"target\":\"x\",\"arguments\":[]}\x1e"), Err(Misfit::NoCompletion));
        assert_eq!(json("{\"type\":3,\"invocationId\":\"2\"}\x1e"), Err(Misfit::OtherInvocation));
    }

    #[test]
    fn case_76_completions_in_message_pack_are_known() {
        for body in [
            &b"\x06\x94\x03\x80\xa1\x31\x02"[..],
            b"\x07\x95\x03\x80\xa1\x31\x03\x2a",
            b"\x09\x95\x03\x80\xa1\x31\x01\xa2\x6e\x6f",
        ] {
            assert_eq!(message_pack(body), Ok(Frame::Binary(body.into())), "{body:02x?}");
        }
    }

    #[test]
    fn what_is_no_completion_in_message_pack_is_refused() {
        for body in [
            &b"\x94\x03\x80\xa1\x31\x02"[..],
            b"\xff\xff\xff\xff\xff\x01",
            b"\x07\x94\x03\x80\xa1\x31\x02",
            b"\x06\x94\x03\x80\xa1\x31\x02\x02\x91\x06",
            b"\x05hello",
            b"\x00",
            b"\x06\x94\x03\x80\xa1\x31\x03",
            b"\x06\x95\x03\x80\xa1\x31\x03",
            b"\x07\x95\x03\x80\xa1\x31\x01\x2a",
            b"\x0b\x95\x03\x80\xa1\x31\x03\xdd\xff\xff\xff\xff",
        ] {
            assert!(matches!(message_pack(body), Err(Misfit::Misframed(_))), "{body:02x?}");
        }
        assert_eq!(message_pack(b"\x02\x91\x06"), Err(Misfit::NoCompletion));
        assert_eq!(message_pack(b"\x06\x94\x03\x80\xa1\x32\x02"), Err(Misfit::OtherInvocation));
    }
}
