//! The handshake request and its response, and the transports that can carry a hub protocol.
//!
//! The request is JSON for every protocol, and the response must be the first record a client receives.

use std::fmt;

use serde_json::{Map, Value, json};

use super::frame::Frame;
use super::handshake_mistake::{Mistake, json_type};
use super::hub_message::Protocol;

/// Clients that negotiated without a version send 0. Version 2 adds the messages of stateful reconnect.
const MAX_VERSION: i64 = 2;

/// How many characters of an unsupported protocol a reason repeats.
const MAX_QUOTED_CHARS: usize = 40;

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

/// Why a handshake failed. The texts are those of ASP.NET Core, which clients get, so that users can search for them; what is wrong
/// with the request is in [`reason`](Self::reason).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// Not a handshake request.
    #[error("An unexpected error occurred during connection handshake.")]
    Malformed(Mistake),
    /// The protocol, as the client spelled it.
    #[error("The protocol '{0}' is not supported.")]
    UnsupportedProtocol(String),
    /// The protocol, as the client spelled it, and the version.
    #[error("The server does not support version {1} of the '{0}' protocol.")]
    UnsupportedVersion(String, i64),
    #[error(
        "Cannot use the '{name}' protocol on the current transport. \
         The transport does not support 'Binary' transfer format.",
        name = .0.name()
    )]
    TransferFormat(Protocol),
    #[error("Handshake was canceled.")]
    TimedOut(Mistake),
}

impl HandshakeError {
    /// The request did not arrive within the handshake time-out; `unread` is what arrived instead.
    pub(crate) fn timed_out(unread: &[u8]) -> Self {
        Self::TimedOut(Mistake::in_unfinished(unread))
    }

    /// What is wrong with the request and how to mend it, in one sentence for the log. Repeats nothing of the request but the start
    /// of a protocol name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Malformed(mistake) | Self::TimedOut(mistake) => mistake.to_string(),
            Self::UnsupportedProtocol(name) => {
                let short: String = name.chars().take(MAX_QUOTED_CHARS).collect();
                format!("the protocol {short:?} is not one of the service: ask for \"json\" or \"messagepack\"")
            }
            Self::UnsupportedVersion(_, version) => {
                format!(
                    "version {version} is not one of 0 to {MAX_VERSION}: ask for 1, or for 2 with stateful reconnect"
                )
            }
            Self::TransferFormat(_) => {
                "Server-Sent Events carry text only: ask for \"json\", or use another transport".to_owned()
            }
        }
    }
}

/// Reads a handshake request, given without its separator.
pub(crate) fn parse_request(request: &[u8], format: TransferFormat) -> Result<Handshake, HandshakeError> {
    let (name, version) = read_fields(request).map_err(HandshakeError::Malformed)?;
    let Some(protocol) = Protocol::named(&name) else { return Err(HandshakeError::UnsupportedProtocol(name)) };
    if !(0..=MAX_VERSION).contains(&version) {
        return Err(HandshakeError::UnsupportedVersion(name, version));
    }
    match (protocol, format) {
        (Protocol::MessagePack, TransferFormat::Text) => Err(HandshakeError::TransferFormat(protocol)),
        _ => Ok(Handshake { protocol, version }),
    }
}

/// The protocol and the version of a request. Of a property that occurs twice the last one counts, as in ASP.NET Core.
fn read_fields(request: &[u8]) -> Result<(String, i64), Mistake> {
    let value = serde_json::from_slice(request).map_err(|error| Mistake::in_text(request, &error))?;
    let fields = match value {
        Value::Object(fields) => fields,
        Value::String(text) if serde_json::from_str::<Map<String, Value>>(&text).is_ok() => {
            return Err(Mistake::StringifiedTwice);
        }
        other => return Err(Mistake::NotAnObject(json_type(&other))),
    };
    let field = |name| fields.get(name).ok_or_else(|| Mistake::missing(name, &fields));
    let (protocol, version) = (field("protocol")?, field("version")?);
    let name = protocol.as_str().ok_or(Mistake::Protocol(json_type(protocol)))?;
    let number = version.as_i64().filter(|number| i32::try_from(*number).is_ok());
    Ok((name.to_owned(), number.ok_or(Mistake::Version(json_type(version)))?))
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
    }

    #[test]
    fn the_protocol_ignores_letter_case_and_an_error_repeats_it_as_it_was_sent() {
        for (name, protocol) in [("JSON", Protocol::Json), ("MessagePack", Protocol::MessagePack)] {
            let request = json!({"version": 1, "protocol": name}).to_string();
            let parsed = parse_request(request.as_bytes(), TransferFormat::TextAndBinary);
            assert_eq!(parsed, Ok(Handshake { protocol, version: 1 }), "{name}");
        }
        assert_eq!(
            error(r#"{"protocol":"JSON","version":3}"#),
            "The server does not support version 3 of the 'JSON' protocol."
        );
    }

    #[test]
    fn of_a_property_that_occurs_twice_the_last_counts_and_others_are_ignored() {
        let request = br#"{"protocol":"x","Version":[],"version":9,"version":1,"protocol":"json"}"#;
        let accepted = Handshake { protocol: Protocol::Json, version: 1 };
        assert_eq!(parse_request(request, TransferFormat::TextAndBinary), Ok(accepted));
    }

    const WIRE: &str = "An unexpected error occurred during connection handshake.";

    #[test]
    fn a_reason_names_what_is_wrong_while_the_client_gets_the_sentence_of_the_service() {
        for (request, expected) in [
            ("", "there is nothing before the first byte 0x1E: send {"),
            (" \r\n", "there is nothing before the first byte 0x1E: send {"),
            ("{}", "`protocol` is missing: send {"),
            (r#"{"version":1}"#, "`protocol` is missing: send {"),
            (r#"{"protocol":"json"}"#, "`version` is missing: send {"),
            (r#"{"Protocol":"json","Version":1}"#, "`protocol` is missing, and spelled in another letter case"),
            (r#"{"protocol":"json","Version":1}"#, "`version` is missing, and spelled in another letter case"),
            (r#"{"type":6}"#, "the first record is a hub message: send the handshake before it"),
            (r#"{"protocol":1,"version":1}"#, "`protocol` is a number and must be a text"),
            (r#"{"protocol":null,"version":1}"#, "`protocol` is null and must be a text"),
            (r#"{"protocol":"json","version":"1"}"#, "`version` is a text and must be a whole number"),
            (r#"{"protocol":"json","version":1.0}"#, "`version` is a number and must be a whole number"),
            (r#"{"protocol":"json","version":5000000000}"#, "must be a whole number of 32 bits"),
            (r#""{\"protocol\":\"json\",\"version\":1}""#, "it was stringified twice: send the object itself"),
            (r#""hello""#, "the request is a text and must be a JSON object"),
            (r#"[{"protocol":"json","version":1}]"#, "the request is an array and must be a JSON object"),
            ("7", "the request is a number and must be a JSON object"),
            ("hello", "is not JSON from line 1, column 1: send {"),
            ("{protocol:'json',version:1}", "is not JSON from line 1, column 2: send {"),
            (r#"{"protocol":"json","version":1"#, "is not JSON from line 1, column 30"),
            (
                "{\"protocol\":\"json\",\"version\":1}\n{\"type\":6}",
                "goes on after its JSON object: send the byte 0x1E",
            ),
            ("\u{feff}{\"protocol\":\"json\",\"version\":1}", "begins with a byte-order mark: send it without"),
            ("{\0\"\0p\0", "zero bytes, as UTF-16 has: send the JSON in UTF-8"),
        ] {
            let error = parse_request(request.as_bytes(), TransferFormat::TextAndBinary).unwrap_err();
            assert!(error.reason().contains(expected), "{request}: {}", error.reason());
            assert_eq!(error.to_string(), WIRE, "{request}");
        }
    }

    #[test]
    fn a_reason_names_bytes_that_are_no_text() {
        for (request, expected) in [
            (&b"\x92\xa4json\x01"[..], "is MessagePack, and a handshake is JSON for every protocol"),
            (b"\x07\x82\xa4json", "is MessagePack, and a handshake is JSON for every protocol"),
            (b"\x81\x01\x93\x01\x80", "is MessagePack, and a handshake is JSON for every protocol"),
            (b"\xff\xfe{\0", "is not UTF-8: send the JSON in UTF-8"),
            (b"{\"protocol\":\"\xe9\",\"version\":1}", "is not UTF-8: send the JSON in UTF-8"),
        ] {
            let error = parse_request(request, TransferFormat::TextAndBinary).unwrap_err();
            assert!(error.reason().contains(expected), "{request:?}: {}", error.reason());
            assert_eq!(error.to_string(), WIRE, "{request:?}");
        }
    }

    #[test]
    fn a_reason_names_a_protocol_version_or_transport_that_does_not_fit() {
        for (request, expected) in [
            (
                r#"{"protocol":"blazorpack","version":1}"#,
                r#"the protocol "blazorpack" is not one of the service: ask for "json""#,
            ),
            (r#"{"protocol":"json ","version":1}"#, r#"the protocol "json " is not one of the service"#),
            (r#"{"protocol":"json","version":99}"#, "version 99 is not one of 0 to 2: ask for 1"),
            (r#"{"protocol":"json","version":-1}"#, "version -1 is not one of 0 to 2: ask for 1"),
            (r#"{"protocol":"messagepack","version":1}"#, r#"Server-Sent Events carry text only: ask for "json""#),
        ] {
            let reason = parse_request(request.as_bytes(), TransferFormat::Text).unwrap_err().reason();
            assert!(reason.contains(expected), "{request}: {reason}");
        }
        let long = json!({"protocol": "x\n".repeat(500), "version": 1}).to_string();
        let reason = parse_request(long.as_bytes(), TransferFormat::Text).unwrap_err().reason();
        assert!(reason.len() < 200 && !reason.contains('\n'), "{reason}");
    }

    #[test]
    fn after_the_time_out_a_reason_names_what_stands_in_place_of_the_separator() {
        const REQUEST: &str = r#"{"protocol":"json","version":1}"#;
        for (ending, expected) in [
            ("", "the byte 0x1E that ends the request did not arrive in time: append that byte"),
            ("\n", "in time, but a line feed"),
            ("\r\n", "in time, but a line feed"),
            ("\r", "in time, but a carriage return"),
            ("\0", "in time, but a zero byte"),
            ("\\u001E", r"in time, but the six characters \u001e"),
            ("\\x1e", r"in time, but the four characters \x1e"),
            ("\u{241e}", "in time, but the picture of a record separator"),
        ] {
            let error = HandshakeError::timed_out([REQUEST, ending].concat().as_bytes());
            assert!(error.reason().contains(expected), "{ending:?}: {}", error.reason());
            assert_eq!(error.to_string(), "Handshake was canceled.");
        }
        assert!(HandshakeError::timed_out(b"").reason().starts_with("nothing arrived in time: send {"));
        assert!(HandshakeError::timed_out(b"\x02\x91\x06").reason().contains("is MessagePack"));
    }

    #[test]
    fn an_error_is_json_in_a_text_frame() {
        let expected = Frame::text("{\"error\":\"Handshake was canceled.\"}\u{1e}");
        assert_eq!(response(&Err(HandshakeError::timed_out(b""))), expected);
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
        fn any_bytes_have_a_reason_in_one_line(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let in_time = parse_request(&bytes, TransferFormat::TextAndBinary).unwrap_err().reason();
            for reason in [in_time, HandshakeError::timed_out(&bytes).reason()] {
                prop_assert!(!reason.is_empty() && !reason.contains(char::is_control), "{reason}");
            }
        }

        #[test]
        fn the_response_to_any_protocol_name_is_one_record(protocol in any::<String>()) {
            let request = json!({"protocol": protocol, "version": 1}).to_string();
            let response = response(&parse_request(request.as_bytes(), TransferFormat::TextAndBinary));
            prop_assert_eq!(response.payload().iter().filter(|&&byte| byte == 0x1E).count(), 1);
        }
    }
}
