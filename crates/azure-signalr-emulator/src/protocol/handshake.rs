//! The handshake request and its response, and the transports that can carry a hub protocol.
//!
//! The request is JSON for every protocol, and the response must be the first record a client receives.

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::frame::Frame;
use super::hub_message::Protocol;

/// Clients that negotiated without a version send 0. Version 2 adds the messages of stateful reconnect.
const MAX_VERSION: i64 = 2;

/// How a client is connected, as `HttpTransportType` of ASP.NET Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportType {
    WebSockets,
    ServerSentEvents,
    LongPolling,
}

impl TransportType {
    /// All transports, in the order in which clients should try them.
    pub(crate) const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    /// The name in negotiate responses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }

    /// The bit in the token claim `asrs.s.htt`.
    pub(crate) fn bit(self) -> u64 {
        1 << self as u64
    }
}

impl fmt::Display for TransportType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a transport can carry, as `TransferFormat` of ASP.NET Core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferFormat {
    Text,
    TextAndBinary,
}

/// An accepted handshake request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) protocol: Protocol,
    /// 0 to 2. With 2 the client counts messages and can resume after a lost socket.
    pub(crate) version: i64,
}

#[derive(Deserialize)]
struct Request {
    protocol: String,
    version: i64,
}

/// Why a handshake failed. The texts are those of ASP.NET Core, so that users can search for them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// Not a handshake request.
    #[error("An unexpected error occurred during connection handshake.")]
    Malformed,
    #[error("The protocol '{0}' is not supported.")]
    UnsupportedProtocol(String),
    #[error("The server does not support version {1} of the '{name}' protocol.", name = .0.name())]
    UnsupportedVersion(Protocol, i64),
    #[error(
        "Cannot use the '{name}' protocol on the current transport. \
         The transport does not support 'Binary' transfer format.",
        name = .0.name()
    )]
    TransferFormat(Protocol),
    #[error("Handshake was canceled.")]
    TimedOut,
}

/// Reads a handshake request, given without its separator.
pub(crate) fn parse_request(request: &[u8], format: TransferFormat) -> Result<Handshake, HandshakeError> {
    let Request { protocol, version } = serde_json::from_slice(request).map_err(|_| HandshakeError::Malformed)?;
    let protocol = Protocol::named(&protocol).ok_or(HandshakeError::UnsupportedProtocol(protocol))?;
    if !(0..=MAX_VERSION).contains(&version) {
        return Err(HandshakeError::UnsupportedVersion(protocol, version));
    }
    match (protocol, format) {
        (Protocol::MessagePack, TransferFormat::Text) => Err(HandshakeError::TransferFormat(protocol)),
        _ => Ok(Handshake { protocol, version }),
    }
}

/// The handshake response: JSON, in the frame type of the protocol.
pub(crate) fn response(outcome: &Result<Handshake, HandshakeError>) -> Frame {
    match outcome {
        Ok(Handshake { protocol: Protocol::Json, .. }) => Frame::text("{}\u{1e}"),
        Ok(Handshake { protocol: Protocol::MessagePack, .. }) => Frame::binary(b"{}\x1e"),
        Err(error) => Frame::text(&format!("{}\u{1e}", json!({"error": error.to_string()}))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(request: &str) -> String {
        parse_request(request.as_bytes(), TransferFormat::TextAndBinary).unwrap_err().to_string()
    }

    #[test]
    fn versions_0_to_2_of_both_protocols_are_supported() {
        for protocol in [Protocol::Json, Protocol::MessagePack] {
            for version in 0..=2 {
                let request = json!({"version": version, "protocol": protocol.name(), "new": []}).to_string();
                let parsed = parse_request(request.as_bytes(), TransferFormat::TextAndBinary);
                assert_eq!(parsed, Ok(Handshake { protocol, version }));
            }
        }
    }

    #[test]
    fn case_28_the_response_is_json_in_the_frames_of_the_protocol() {
        let response = |protocol| response(&Ok(Handshake { protocol, version: 1 }));
        assert_eq!(response(Protocol::Json), Frame::text("{}\u{1e}"));
        assert_eq!(response(Protocol::MessagePack), Frame::binary(b"{}\x1e"));
    }

    #[test]
    fn an_unsupported_protocol_or_version_is_named() {
        assert_eq!(error(r#"{"protocol":"blazorpack","version":1}"#), "The protocol 'blazorpack' is not supported.");
        assert_eq!(
            error(r#"{"protocol":"messagepack","version":99}"#),
            "The server does not support version 99 of the 'messagepack' protocol."
        );
        for request in ["{}", "", r#"{"protocol":"json"}"#, r#"{"protocol":"json","version":"1"}"#] {
            assert_eq!(error(request), "An unexpected error occurred during connection handshake.", "{request}");
        }
    }

    #[test]
    fn an_error_is_json_in_a_text_frame() {
        let expected = Frame::text("{\"error\":\"Handshake was canceled.\"}\u{1e}");
        assert_eq!(response(&Err(HandshakeError::TimedOut)), expected);
    }

    #[test]
    fn case_36_a_transport_for_text_carries_json_only() {
        let parse = |protocol: &str| {
            let request = json!({"protocol": protocol, "version": 1}).to_string();
            parse_request(request.as_bytes(), TransferFormat::Text)
        };
        assert!(parse("json").is_ok());
        assert_eq!(
            parse("messagepack").unwrap_err().to_string(),
            "Cannot use the 'messagepack' protocol on the current transport. \
             The transport does not support 'Binary' transfer format."
        );
    }

    proptest! {
        #[test]
        fn the_response_to_any_bytes_is_one_record(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let response = response(&parse_request(&bytes, TransferFormat::TextAndBinary));
            let separators = response.payload().iter().filter(|&&byte| byte == 0x1E).count();
            prop_assert_eq!((separators, response.payload().last()), (1, Some(&0x1E)));
        }

        #[test]
        fn the_response_to_any_protocol_name_is_one_record(protocol in any::<String>()) {
            let request = json!({"protocol": protocol, "version": 1}).to_string();
            let response = response(&parse_request(request.as_bytes(), TransferFormat::TextAndBinary));
            prop_assert_eq!(response.payload().iter().filter(|&&byte| byte == 0x1E).count(), 1);
        }
    }
}
