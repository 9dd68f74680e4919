//! Messages from the service to clients: encoded at most once for each protocol, or already encoded by others.
//!
//! A REST caller sends encoded messages in an octet-stream body, an upstream in its response. They are validated before they
//! are sent: a client closes its connection when it receives half a message, or two where it expects one.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::frame::Frame;
use super::hub_message::{ClientMessage, MalformedMessage, Protocol, ServerMessage};
use super::message_reader::RECORD_SEPARATOR;
use super::messagepack::{Reader, Value, length_prefix};

/// A message from a REST call. Each protocol's frame is encoded when the first client needs it.
#[derive(Debug)]
pub(crate) struct OutgoingMessage {
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
    /// Encoded by the caller.
    Encoded,
}

impl OutgoingMessage {
    /// Calls `target` at the clients; `arguments` is a JSON array.
    pub(crate) fn invocation(target: String, arguments: Box<RawValue>) -> Self {
        let content = Content::Invocation { target, arguments };
        Self { content, json: OnceLock::new(), messagepack: OnceLock::new() }
    }

    /// A message for the clients of some protocols only.
    fn encoded(json: Option<Frame>, messagepack: Option<Frame>) -> Self {
        Self { content: Content::Encoded, json: json.into(), messagepack: messagepack.into() }
    }

    /// The frame for clients of this protocol, if the message has one.
    pub(crate) fn frame(&self, protocol: Protocol) -> Option<Frame> {
        let frame = match protocol {
            Protocol::Json => &self.json,
            Protocol::MessagePack => &self.messagepack,
        };
        frame.get_or_init(|| self.content.encode(protocol)).clone()
    }

    /// The approximate size in bytes, without frames that are not encoded yet.
    pub(crate) fn size(&self) -> usize {
        let content = match &self.content {
            Content::Invocation { target, arguments } => target.len() + arguments.get().len(),
            Content::Encoded => 0,
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
            Self::Encoded => None,
        }
    }
}

/// Bytes are not one valid message with its separator or length prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("a frame of the {} hub protocol must be one message with {}", .0.name(), framing(*.0))]
    NotOneMessage(Protocol),
    #[error(transparent)]
    Malformed(#[from] MalformedMessage),
}

/// A body is not a map of encoded messages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidBody {
    #[error("it must be one MessagePack map, and nothing after it")]
    NotAMap,
    #[error("each entry must be the name of a hub protocol and a binary")]
    Entry,
    #[error("there are two messages for `{}`", .0.name())]
    Repeated(Protocol),
    #[error(transparent)]
    Framing(#[from] FramingError),
}

fn framing(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json => "the byte 0x1E after it",
        Protocol::MessagePack => "its length before it",
    }
}

/// Validates that `bytes` are exactly one message of `protocol` with its separator or length prefix, and decodes it.
pub(crate) fn parse_frame(protocol: Protocol, bytes: Bytes) -> Result<(Frame, ClientMessage), FramingError> {
    let message = unframed(protocol, &bytes).ok_or(FramingError::NotOneMessage(protocol))?;
    let message = protocol.decode(&message)?;
    let frame = match protocol {
        Protocol::Json => Frame::text(str::from_utf8(&bytes).map_err(|_| FramingError::NotOneMessage(protocol))?),
        Protocol::MessagePack => Frame::binary(&bytes),
    };
    Ok((frame, message))
}

fn unframed(protocol: Protocol, frame: &Bytes) -> Option<Bytes> {
    match protocol {
        Protocol::Json => {
            let end = frame.iter().position(|&byte| byte == RECORD_SEPARATOR)?;
            (end + 1 == frame.len()).then(|| frame.slice(..end))
        }
        Protocol::MessagePack => {
            let (prefix, length) = length_prefix::read(frame).ok()??;
            (prefix + length == frame.len()).then(|| frame.slice(prefix..))
        }
    }
}

/// Reads the octet-stream body of a send: a MessagePack map from protocol names to one framed message each. Entries of
/// unsupported protocols are ignored.
pub(crate) fn parse_body(body: &Bytes) -> Result<OutgoingMessage, InvalidBody> {
    let mut entries = entries(body)?;
    let (mut json, mut messagepack) = (None, None);
    while entries.remaining() > 0 {
        let (name, bytes) = entry(&mut entries)?;
        let Some(protocol) = str::from_utf8(name).ok().and_then(Protocol::named) else { continue };
        let slot = match protocol {
            Protocol::Json => &mut json,
            Protocol::MessagePack => &mut messagepack,
        };
        let (frame, _) = parse_frame(protocol, body.slice_ref(bytes))?;
        if slot.replace(frame).is_some() {
            return Err(InvalidBody::Repeated(protocol));
        }
    }
    Ok(OutgoingMessage::encoded(json, messagepack))
}

/// A reader of the keys and values of `body`, if that is one whole map.
fn entries(body: &[u8]) -> Result<Reader<'_>, InvalidBody> {
    let mut whole = Reader::new(body);
    if whole.skip().is_err() || whole.remaining() > 0 {
        return Err(InvalidBody::NotAMap);
    }
    let mut entries = Reader::new(body);
    match entries.value() {
        Ok(Value::Map(_)) => Ok(entries),
        _ => Err(InvalidBody::NotAMap),
    }
}

fn entry<'a>(entries: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), InvalidBody> {
    match (entries.value(), entries.value()) {
        (Ok(Value::Text(name)), Ok(Value::Binary(bytes))) => Ok((name, bytes)),
        _ => Err(InvalidBody::Entry),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmpv::Value;

    use super::*;

    const JSON: &[u8] = b"{\"type\":1,\"target\":\"hi\",\"arguments\":[\"x\"]}\x1e";
    const MESSAGEPACK: &[u8] = b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90";

    fn body(entries: &[(&str, &[u8])]) -> Bytes {
        let entries = entries.iter().map(|&(name, frame)| (name.into(), Value::Binary(frame.into())));
        encoded(&Value::Map(entries.collect()))
    }

    fn encoded(value: &Value) -> Bytes {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes.into()
    }

    fn frames(body: &Bytes) -> [Option<Vec<u8>>; 2] {
        let message = parse_body(body).unwrap();
        [Protocol::Json, Protocol::MessagePack]
            .map(|protocol| message.frame(protocol).map(|frame| frame.payload().to_vec()))
    }

    #[test]
    fn clients_of_one_protocol_share_one_frame() {
        let arguments = RawValue::from_string(r#"["x"]"#.into()).unwrap();
        let message = OutgoingMessage::invocation("hi".into(), arguments);
        assert_eq!(message.size(), 7);
        let json = message.frame(Protocol::Json).unwrap();
        assert_eq!(json, Frame::text("{\"type\":1,\"target\":\"hi\",\"arguments\":[\"x\"]}\u{1e}"));
        assert_eq!(message.size(), 7 + json.len());
        let messagepack = message.frame(Protocol::MessagePack).unwrap();
        assert_eq!(messagepack.payload(), b"\x0b\x96\x01\x80\xc0\xa2hi\x91\xa1x\x90");
        for (protocol, frame) in [(Protocol::Json, json), (Protocol::MessagePack, messagepack)] {
            let again = message.frame(protocol).unwrap();
            assert_eq!(again.payload().as_ptr(), frame.payload().as_ptr());
        }
    }

    #[test]
    fn case_55_an_encoded_message_has_frames_for_its_protocols_only() {
        let frame = Frame::binary(&[2, 0x91, 6]);
        let message = OutgoingMessage::encoded(None, Some(frame.clone()));
        assert_eq!(message.size(), 3);
        assert_eq!(message.frame(Protocol::MessagePack), Some(frame));
        assert_eq!(message.frame(Protocol::Json), None);
    }

    #[test]
    fn case_55_each_protocol_gets_its_own_entry_or_no_message() {
        let (json, messagepack) = (Some(JSON.to_vec()), Some(MESSAGEPACK.to_vec()));
        assert_eq!(frames(&body(&[("json", JSON), ("messagepack", MESSAGEPACK)])), [json.clone(), messagepack.clone()]);
        assert_eq!(frames(&body(&[("json", JSON)])), [json, None]);
        assert_eq!(frames(&body(&[("blazorpack", b"?"), ("messagepack", MESSAGEPACK)])), [None, messagepack]);
        assert_eq!(frames(&body(&[])), [None, None]);
    }

    #[test]
    fn frames_have_the_type_of_their_protocol() {
        let message = parse_body(&body(&[("json", JSON), ("messagepack", MESSAGEPACK)])).unwrap();
        assert_eq!(message.frame(Protocol::Json), Some(Frame::text(str::from_utf8(JSON).unwrap())));
        assert_eq!(message.frame(Protocol::MessagePack), Some(Frame::binary(MESSAGEPACK)));
    }

    #[test]
    fn a_frame_is_exactly_one_message() {
        for (protocol, whole) in [(Protocol::Json, JSON), (Protocol::MessagePack, MESSAGEPACK)] {
            for wrong in [&[][..], &whole[..whole.len() - 1], &[whole, whole].concat(), &whole[1..]] {
                assert!(parse_frame(protocol, wrong.to_vec().into()).is_err(), "{protocol:?} {wrong:x?}");
            }
            let (_, message) = parse_frame(protocol, whole.into()).unwrap();
            assert!(matches!(message, ClientMessage::Invocation { id: None, .. }));
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let error = |body: &Bytes| parse_body(body).unwrap_err().to_string();
        let json = "a frame of the json hub protocol must be one message with the byte 0x1E after it";
        assert_eq!(error(&body(&[("json", b"{\"type\":6}")])), json);
        let prefix = "a frame of the messagepack hub protocol must be one message with its length before it";
        assert_eq!(error(&body(&[("messagepack", b"\x03\x91\x06")])), prefix);
        let reserved = "not a message of the messagepack hub protocol: no MessagePack value begins with the byte 0xC1";
        assert_eq!(error(&body(&[("messagepack", b"\x02\x91\xc1")])), reserved);
        assert_eq!(error(&body(&[("json", JSON), ("json", JSON)])), "there are two messages for `json`");
        let not_binary = encoded(&Value::Map(vec![("json".into(), "{}\u{1e}".into())]));
        assert_eq!(error(&not_binary), "each entry must be the name of a hub protocol and a binary");
        for body in [&b""[..], b"{}", b"\x90", b"\x80\x80", b"\xdf\xff\xff\xff\xff"] {
            assert_eq!(error(&Bytes::from_static(body)), "it must be one MessagePack map, and nothing after it");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_accepted_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse_body(&bytes.into());
        }
    }
}
