//! Messages that others have framed: a REST caller in an octet-stream body, an upstream in its answer.
//!
//! They reach clients as they are, and a client that gets half a message, or two where it counts one, ends its
//! connection far from whoever made the mistake; so they are looked at first.

use std::fmt;

use bytes::Bytes;

use super::incoming::SEPARATOR;
use super::messagepack::{Reader, Value, length_prefix};
use super::{ClientMessage, Frame, Malformed, Message, Protocol};

/// Why a frame is not passed on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// It is not exactly one message with its separator or length.
    NotOne(Protocol),
    Malformed(Malformed),
}

/// Why a body is not a map of frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotPrepared {
    NotAMap,
    /// A name is no text, or what it stands for not binary.
    Entry,
    Twice(Protocol),
    FramingError(FramingError),
}

/// One message of `protocol` with its separator or length prefix, and what it says.
pub(crate) fn frame(protocol: Protocol, bytes: Bytes) -> Result<(Frame, ClientMessage), FramingError> {
    let message = unframed(protocol, &bytes).ok_or(FramingError::NotOne(protocol))?;
    let message = protocol.read(&message).map_err(FramingError::Malformed)?;
    let frame = match protocol {
        Protocol::Json => Frame::Text(bytes.try_into().map_err(|_| FramingError::NotOne(protocol))?),
        Protocol::MessagePack => Frame::Binary(bytes),
    };
    Ok((frame, message))
}

fn unframed(protocol: Protocol, frame: &Bytes) -> Option<Bytes> {
    match protocol {
        Protocol::Json => {
            let end = frame.iter().position(|&byte| byte == SEPARATOR)?;
            (end + 1 == frame.len()).then(|| frame.slice(..end))
        }
        Protocol::MessagePack => {
            let (prefix, length) = length_prefix::read(frame).ok()??;
            (prefix + length == frame.len()).then(|| frame.slice(prefix..))
        }
    }
}

/// Reads a MessagePack map from names of protocols to one framed message each. Protocols that are not spoken here are
/// skipped, and their messages not looked at.
pub(crate) fn read(body: &Bytes) -> Result<Message, NotPrepared> {
    let mut entries = entries(body)?;
    let (mut json, mut messagepack) = (None, None);
    while entries.left() > 0 {
        let (name, bytes) = entry(&mut entries)?;
        let Some(protocol) = str::from_utf8(name).ok().and_then(Protocol::named) else { continue };
        let place = match protocol {
            Protocol::Json => &mut json,
            Protocol::MessagePack => &mut messagepack,
        };
        let (frame, _) = frame(protocol, body.slice_ref(bytes)).map_err(NotPrepared::FramingError)?;
        if place.replace(frame).is_some() {
            return Err(NotPrepared::Twice(protocol));
        }
    }
    Ok(Message::prepared(json, messagepack))
}

/// Names and messages in turn, if `body` is one whole map.
fn entries(body: &[u8]) -> Result<Reader<'_>, NotPrepared> {
    let mut whole = Reader::new(body);
    if whole.skip().is_err() || whole.left() > 0 {
        return Err(NotPrepared::NotAMap);
    }
    let mut entries = Reader::new(body);
    match entries.value() {
        Ok(Value::Map(_)) => Ok(entries),
        _ => Err(NotPrepared::NotAMap),
    }
}

fn entry<'a>(entries: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), NotPrepared> {
    match (entries.value(), entries.value()) {
        (Ok(Value::Text(name)), Ok(Value::Binary(bytes))) => Ok((name, bytes)),
        _ => Err(NotPrepared::Entry),
    }
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne(Protocol::Json) => f.write_str(
                "a frame of the json hub protocol must be one message with the byte 0x1E after it",
            ),
            Self::NotOne(Protocol::MessagePack) => f.write_str(
                "a frame of the messagepack hub protocol must be one message with its length before it",
            ),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl fmt::Display for NotPrepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMap => f.write_str("it must be one MessagePack map, and nothing after it"),
            Self::Entry => f.write_str("each entry must be the name of a hub protocol and a binary"),
            Self::Twice(protocol) => write!(f, "there are two messages for `{}`", protocol.name()),
            Self::FramingError(misframed) => misframed.fmt(f),
        }
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
        let message = read(body).unwrap();
        [Protocol::Json, Protocol::MessagePack]
            .map(|protocol| message.frame(protocol).map(|frame| frame.as_bytes().to_vec()))
    }

    #[test]
    fn case_55_each_protocol_gets_its_own_entry_and_none_if_there_is_none() {
        let (json, messagepack) = (Some(JSON.to_vec()), Some(MESSAGEPACK.to_vec()));
        assert_eq!(
            frames(&body(&[("json", JSON), ("messagepack", MESSAGEPACK)])),
            [json.clone(), messagepack.clone()]
        );
        assert_eq!(frames(&body(&[("json", JSON)])), [json, None]);
        assert_eq!(frames(&body(&[("blazorpack", b"?"), ("messagepack", MESSAGEPACK)])), [None, messagepack]);
        assert_eq!(frames(&body(&[])), [None, None]);
    }

    #[test]
    fn frames_go_out_in_the_kind_of_their_protocol() {
        let message = read(&body(&[("json", JSON), ("messagepack", MESSAGEPACK)])).unwrap();
        assert!(matches!(message.frame(Protocol::Json), Some(Frame::Text(_))));
        assert!(matches!(message.frame(Protocol::MessagePack), Some(Frame::Binary(_))));
    }

    #[test]
    fn a_frame_is_exactly_one_message() {
        for (protocol, whole) in [(Protocol::Json, JSON), (Protocol::MessagePack, MESSAGEPACK)] {
            for wrong in [&[][..], &whole[..whole.len() - 1], &[whole, whole].concat(), &whole[1..]] {
                assert!(frame(protocol, wrong.to_vec().into()).is_err(), "{protocol:?} {wrong:x?}");
            }
            let (_, message) = frame(protocol, whole.into()).unwrap();
            assert!(matches!(message, ClientMessage::Invocation { id: None, .. }));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |body: &Bytes| read(body).unwrap_err().to_string();
        assert_eq!(
            error(&body(&[("json", b"{\"type\":6}")])),
            "a frame of the json hub protocol must be one message with the byte 0x1E after it"
        );
        assert_eq!(
            error(&body(&[("messagepack", b"\x03\x91\x06")])),
            "a frame of the messagepack hub protocol must be one message with its length before it"
        );
        assert_eq!(
            error(&body(&[("messagepack", b"\x02\x91\xc1")])),
            "not a message of the messagepack hub protocol: no MessagePack value begins with the byte 0xC1"
        );
        assert_eq!(error(&body(&[("json", JSON), ("json", JSON)])), "there are two messages for `json`");
        let not_binary = encoded(&Value::Map(vec![("json".into(), "{}\u{1e}".into())]));
        assert_eq!(error(&not_binary), "each entry must be the name of a hub protocol and a binary");
        for body in [&b""[..], b"{}", b"\x90", b"\x80\x80", b"\xdf\xff\xff\xff\xff"] {
            assert_eq!(
                error(&Bytes::from_static(body)),
                "it must be one MessagePack map, and nothing after it"
            );
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes.into());
        }
    }
}
