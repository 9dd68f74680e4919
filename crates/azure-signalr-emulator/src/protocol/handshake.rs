//! The handshake: the first record from a client, and the first one to it.
//!
//! It is JSON whatever protocol it asks for, and its answer must be the first thing a client receives.

use std::fmt;

use axum::extract::ws::Utf8Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Frame, Protocol};

/// 0 is what clients that negotiated without a version send; 2 differs from 1 only in messages a client must first
/// have been offered.
const NEWEST_VERSION: i64 = 2;

/// What a transport can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    TextOnly,
    TextAndBinary,
}

/// What a client asked for, and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) protocol: Protocol,
    /// 0 to 2. With 2 the client numbers messages, to go on after a lost socket.
    pub(crate) version: i64,
}

#[derive(Deserialize)]
struct Request {
    protocol: String,
    version: i64,
}

/// Why a handshake failed, in the words stock servers use: clients and their users search for them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    /// It is no handshake.
    Malformed,
    /// The protocol is not spoken here.
    Unknown(String),
    /// The version of the protocol is not spoken here.
    Version(Protocol, i64),
    /// The transport cannot carry the protocol.
    NotCarried(Protocol),
    /// It did not come in time.
    Late,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("An unexpected error occurred during connection handshake."),
            Self::Unknown(name) => write!(f, "The protocol '{name}' is not supported."),
            Self::Version(protocol, version) => {
                let name = protocol.name();
                write!(f, "The server does not support version {version} of the '{name}' protocol.")
            }
            Self::NotCarried(protocol) => {
                let name = protocol.name();
                write!(
                    f,
                    "Cannot use the '{name}' protocol on the current transport. \
                     The transport does not support 'Binary' transfer format."
                )
            }
            Self::Late => f.write_str("Handshake was canceled."),
        }
    }
}

/// Reads a handshake request, given without its separator.
pub(crate) fn read(request: &[u8], transfer: Transfer) -> Result<Handshake, HandshakeError> {
    let Request { protocol, version } =
        serde_json::from_slice(request).map_err(|_| HandshakeError::Malformed)?;
    let protocol = Protocol::named(&protocol).ok_or(HandshakeError::Unknown(protocol))?;
    if !(0..=NEWEST_VERSION).contains(&version) {
        return Err(HandshakeError::Version(protocol, version));
    }
    match (protocol, transfer) {
        (Protocol::MessagePack, Transfer::TextOnly) => Err(HandshakeError::NotCarried(protocol)),
        _ => Ok(Handshake { protocol, version }),
    }
}

/// The answer to a handshake: JSON, in the kind of frame that everything after it comes in.
pub(crate) fn answer(outcome: &Result<Handshake, HandshakeError>) -> Frame {
    match outcome {
        Ok(Handshake { protocol: Protocol::Json, .. }) => Frame::Text(Utf8Bytes::from_static("{}\u{1e}")),
        Ok(Handshake { protocol: Protocol::MessagePack, .. }) => Frame::Binary((&b"{}\x1e"[..]).into()),
        Err(error) => {
            let error = json!({"error": error.to_string()});
            Frame::Text(format!("{error}\u{1e}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(request: &str) -> String {
        read(request.as_bytes(), Transfer::TextAndBinary).unwrap_err().to_string()
    }

    #[test]
    fn versions_0_to_2_of_both_protocols_are_spoken() {
        for protocol in [Protocol::Json, Protocol::MessagePack] {
            for version in 0..=2 {
                let request = json!({"version": version, "protocol": protocol.name(), "new": []}).to_string();
                let read = read(request.as_bytes(), Transfer::TextAndBinary);
                assert_eq!(read, Ok(Handshake { protocol, version }));
            }
        }
    }

    #[test]
    fn case_28_the_answer_is_json_in_the_frames_of_the_protocol() {
        let answer = |protocol| answer(&Ok(Handshake { protocol, version: 1 }));
        assert_eq!(answer(Protocol::Json), Frame::Text("{}\u{1e}".into()));
        assert_eq!(answer(Protocol::MessagePack), Frame::Binary("{}\u{1e}".into()));
    }

    #[test]
    fn what_is_not_spoken_is_named() {
        assert_eq!(
            error(r#"{"protocol":"blazorpack","version":1}"#),
            "The protocol 'blazorpack' is not supported."
        );
        assert_eq!(
            error(r#"{"protocol":"messagepack","version":99}"#),
            "The server does not support version 99 of the 'messagepack' protocol."
        );
        for request in ["{}", "", r#"{"protocol":"json"}"#, r#"{"protocol":"json","version":"1"}"#] {
            assert_eq!(
                error(request),
                "An unexpected error occurred during connection handshake.",
                "{request}"
            );
        }
    }

    #[test]
    fn a_refusal_is_json_in_a_text_frame() {
        assert_eq!(
            answer(&Err(HandshakeError::Late)),
            Frame::Text("{\"error\":\"Handshake was canceled.\"}\u{1e}".into())
        );
    }

    #[test]
    fn case_36_a_transport_for_text_carries_json_only() {
        let read = |protocol: &str| {
            let request = json!({"protocol": protocol, "version": 1}).to_string();
            read(request.as_bytes(), Transfer::TextOnly)
        };
        assert!(read("json").is_ok());
        assert_eq!(
            read("messagepack").unwrap_err().to_string(),
            "Cannot use the 'messagepack' protocol on the current transport. \
             The transport does not support 'Binary' transfer format."
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_with_one_record(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let answer = answer(&read(&bytes, Transfer::TextAndBinary));
            let separators = answer.as_bytes().iter().filter(|&&byte| byte == 0x1E).count();
            prop_assert_eq!((separators, answer.as_bytes().last()), (1, Some(&0x1E)));
        }

        #[test]
        fn any_name_of_a_protocol_is_answered_with_one_record(protocol in any::<String>()) {
            let request = json!({"protocol": protocol, "version": 1}).to_string();
            let answer = answer(&read(request.as_bytes(), Transfer::TextAndBinary));
            prop_assert_eq!(answer.as_bytes().iter().filter(|&&byte| byte == 0x1E).count(), 1);
        }
    }
}
