//! Whether bytes are what a client awaits: one completion of one invocation, framed as its hub protocol frames.
//!
//! Bytes of the upstream go to the client as they are. Anything else than a completion would leave the client waiting,
//! or make it close its connection; so it is looked at here, though only as closely as it takes to say what is wrong.

use std::borrow::Cow;
use std::fmt;

use rmp::Marker;
use rmp::decode::{read_array_len, read_int, read_map_len, read_marker, read_str_from_slice};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::request::Encoding;

/// Ends a JSON message.
const SEPARATOR: u8 = 0x1E;

/// The type of a completion, in both protocols.
const COMPLETION: u64 = 3;

/// What was wrong with the bytes; goes on after "the upstream answered with".
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    NoSeparator,
    MoreThanOne,
    NoJson,
    BadLength,
    NoMessagePack,
    OtherType(u64),
    OtherInvocation,
    ResultAndError,
    Malformed,
}

/// Checks that the body is one framed completion of the invocation.
pub(super) fn check(body: &[u8], encoding: Encoding, invocation_id: &str) -> Result<(), Misfit> {
    match encoding {
        Encoding::Json => check_json(body, invocation_id),
        Encoding::MessagePack => check_message_pack(body, invocation_id),
    }
}

#[derive(Deserialize)]
struct JsonMessage<'a> {
    r#type: u64,
    #[serde(borrow, rename = "invocationId")]
    invocation_id: Option<Cow<'a, str>>,
    result: Option<IgnoredAny>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

fn check_json(body: &[u8], invocation_id: &str) -> Result<(), Misfit> {
    let record = body.strip_suffix(&[SEPARATOR]).ok_or(Misfit::NoSeparator)?;
    if record.contains(&SEPARATOR) {
        return Err(Misfit::MoreThanOne);
    }
    // An array would be taken for the fields of a message in order.
    if !record.trim_ascii_start().starts_with(b"{") {
        return Err(Misfit::NoJson);
    }
    let message: JsonMessage<'_> = serde_json::from_slice(record)
        .map_err(|error| if error.is_data() { Misfit::Malformed } else { Misfit::NoJson })?;
    if message.r#type != COMPLETION {
        return Err(Misfit::OtherType(message.r#type));
    }
    if message.invocation_id.as_deref() != Some(invocation_id) {
        return Err(Misfit::OtherInvocation);
    }
    match (message.result, message.error) {
        (Some(_), Some(_)) => Err(Misfit::ResultAndError),
        (None, Some(error)) if error.is_empty() => Err(Misfit::Malformed),
        _ => Ok(()),
    }
}

/// `[3, headers, invocation id, kind, value?]` after its length; kind 1 has an error, 2 nothing, 3 a result.
fn check_message_pack(body: &[u8], invocation_id: &str) -> Result<(), Misfit> {
    let mut rest = unframed(body)?;
    let items = read_array_len(&mut rest).map_err(|_| Misfit::NoMessagePack)?;
    let kind: u64 = read_int(&mut rest).map_err(|_| Misfit::Malformed)?;
    if kind != COMPLETION {
        return Err(Misfit::OtherType(kind));
    }
    let headers = read_map_len(&mut rest).map_err(|_| Misfit::Malformed)?;
    skip(&mut rest, 2 * u64::from(headers))?;
    let (id, mut rest) = read_str_from_slice(rest).map_err(|_| Misfit::Malformed)?;
    if id != invocation_id {
        return Err(Misfit::OtherInvocation);
    }
    let kind: u8 = read_int(&mut rest).map_err(|_| Misfit::Malformed)?;
    match (kind, items) {
        (1, 5) => rest = read_str_from_slice(rest).map_err(|_| Misfit::Malformed)?.1,
        (2, 4) => {}
        (3, 5) => skip(&mut rest, 1)?,
        _ => return Err(Misfit::Malformed),
    }
    if rest.is_empty() { Ok(()) } else { Err(Misfit::Malformed) }
}

/// Takes off the length: 7 bits in each byte, the least significant first, a high bit where more follow, 5 bytes at
/// most.
fn unframed(body: &[u8]) -> Result<&[u8], Misfit> {
    let prefix = body.iter().take(5).position(|byte| byte & 0x80 == 0).ok_or(Misfit::BadLength)?;
    let (prefix, message) = body.split_at(prefix + 1);
    let length = prefix.iter().rev().fold(0_u64, |length, byte| length << 7 | u64::from(byte & 0x7f));
    match (message.len() as u64).cmp(&length) {
        std::cmp::Ordering::Less => Err(Misfit::BadLength),
        std::cmp::Ordering::Equal => Ok(message),
        std::cmp::Ordering::Greater => Err(Misfit::MoreThanOne),
    }
}

/// Passes over values, however deep they are: what is inside one only adds to what is left.
fn skip(rest: &mut &[u8], values: u64) -> Result<(), Misfit> {
    let mut left = values;
    while left > 0 {
        let (bytes, inside) = extent(rest).ok_or(Misfit::Malformed)?;
        *rest = usize::try_from(bytes).ok().and_then(|bytes| rest.get(bytes..)).ok_or(Misfit::Malformed)?;
        left = left - 1 + inside;
    }
    Ok(())
}

/// Reads the head of a value: how many bytes of its own follow, and how many values.
fn extent(rest: &mut &[u8]) -> Option<(u64, u64)> {
    Some(match read_marker(rest).ok()? {
        Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => (0, 0),
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(bytes) => (bytes.into(), 0),
        Marker::Str8 | Marker::Bin8 => (big_endian(rest, 1)?, 0),
        Marker::Str16 | Marker::Bin16 => (big_endian(rest, 2)?, 0),
        Marker::Str32 | Marker::Bin32 => (big_endian(rest, 4)?, 0),
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (big_endian(rest, 1)? + 1, 0),
        Marker::Ext16 => (big_endian(rest, 2)? + 1, 0),
        Marker::Ext32 => (big_endian(rest, 4)? + 1, 0),
        Marker::FixArray(values) => (0, values.into()),
        Marker::Array16 => (0, big_endian(rest, 2)?),
        Marker::Array32 => (0, big_endian(rest, 4)?),
        Marker::FixMap(pairs) => (0, 2 * u64::from(pairs)),
        Marker::Map16 => (0, 2 * big_endian(rest, 2)?),
        Marker::Map32 => (0, 2 * big_endian(rest, 4)?),
        Marker::Reserved => return None,
    })
}

fn big_endian(rest: &mut &[u8], length: usize) -> Option<u64> {
    let (number, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeparator => f.write_str("a message that does not end with 0x1E"),
            Self::MoreThanOne => f.write_str("more than one message"),
            Self::NoJson => f.write_str("a message that is not a JSON object"),
            Self::BadLength => f.write_str("a message that does not begin with its own length"),
            Self::NoMessagePack => f.write_str("a message that is not a MessagePack array"),
            Self::OtherType(kind) => write!(f, "a message of type {kind}"),
            Self::OtherInvocation => f.write_str("the completion of another invocation"),
            Self::ResultAndError => f.write_str("a completion with both a result and an error"),
            Self::Malformed => f.write_str("a malformed completion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(body: &str) -> Result<(), Misfit> {
        check(body.as_bytes(), Encoding::Json, "1")
    }

    fn message_pack(body: &[u8]) -> Result<(), Misfit> {
        check(body, Encoding::MessagePack, "1")
    }

    /// With its length before it.
    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u8::try_from(message.len()).unwrap();
        assert!(length < 0x80);
        [&[length], message].concat()
    }

    #[test]
    fn case_76_completions_in_json_are_known() {
        for body in [
            "{\"type\":3,\"invocationId\":\"1\",\"result\":42}\x1e",
            "{\"type\":3,\"invocationId\":\"1\",\"result\":{\"deep\":[1,{}]},\"error\":null}\x1e",
            "{\"invocationId\":\"1\",\"error\":\"no\",\"type\":3}\x1e",
            "{\"headers\":{},\"type\":3,\"invocationId\":\"\\u0031\"}\x1e",
        ] {
            assert_eq!(json(body), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_is_no_completion_in_json_is_named() {
        for (body, misfit) in [
            ("{\"type\":3,\"invocationId\":\"1\"}", Misfit::NoSeparator),
            ("hello", Misfit::NoSeparator),
            ("hello\x1e", Misfit::NoJson),
            ("{\"type\":3\x1e", Misfit::NoJson),
            ("[3,\"1\",null,null]\x1e", Misfit::NoJson),
            ("{}\x1e", Misfit::Malformed),
            ("{\"type\":3,\"invocationId\":\"1\",\"error\":\"\"}\x1e", Misfit::Malformed),
            ("{\"type\":1,\"target\":\"x\",\"arguments\":[]}\x1e", Misfit::OtherType(1)),
            ("{\"type\":3,\"invocationId\":\"2\"}\x1e", Misfit::OtherInvocation),
            ("{\"type\":3}\x1e", Misfit::OtherInvocation),
            ("{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"no\"}\x1e", Misfit::ResultAndError),
            ("{\"type\":3,\"invocationId\":\"1\"}\x1e{\"type\":6}\x1e", Misfit::MoreThanOne),
        ] {
            assert_eq!(json(body), Err(misfit), "{body}");
        }
    }

    #[test]
    fn case_76_completions_in_message_pack_are_known() {
        for body in [
            &b"\x06\x94\x03\x80\xa1\x31\x02"[..],
            b"\x07\x95\x03\x80\xa1\x31\x03\x2a",
            b"\x09\x95\x03\x80\xa1\x31\x01\xa2\x6e\x6f",
            // With a header, and a result of every shape.
            &framed(b"\x95\x03\x81\xa1k\xa1v\xa11\x03\x9a\xc0\xc2\xca....\xcf........\xd9\x02ab\xc5\x00\x01.\xd4\x01.\xc7\x01\x01.\x81\xa1k\x90\xdc\x00\x00"),
        ] {
            assert_eq!(message_pack(body), Ok(()), "{body:02x?}");
        }
        let long = [&b"\x95\x03\x80\xa11\x03\xd9\xc8"[..], &[b'x'; 200]].concat();
        assert_eq!(message_pack(&[&b"\xd0\x01"[..], &long].concat()), Ok(()));
    }

    #[test]
    fn what_is_no_completion_in_message_pack_is_named() {
        for (body, misfit) in [
            (&b"\x94\x03\x80\xa1\x31\x02"[..], Misfit::BadLength),
            (b"\xff\xff\xff\xff\xff\x01", Misfit::BadLength),
            (b"\x07\x94\x03\x80\xa1\x31\x02", Misfit::BadLength),
            (b"\x06\x94\x03\x80\xa1\x31\x02\x02\x91\x06", Misfit::MoreThanOne),
            (b"\x05hello", Misfit::NoMessagePack),
            (b"\x00", Misfit::NoMessagePack),
            (b"\x02\x91\x06", Misfit::OtherType(6)),
            (b"\x06\x94\x03\x80\xa1\x32\x02", Misfit::OtherInvocation),
            (b"\x06\x94\x03\x80\xa1\x31\x03", Misfit::Malformed),
            (b"\x06\x95\x03\x80\xa1\x31\x03", Misfit::Malformed),
            (b"\x07\x95\x03\x80\xa1\x31\x01\x2a", Misfit::Malformed),
            (b"\x07\x94\x03\x80\xa1\x31\x02\x2a", Misfit::Malformed),
            (b"\x0b\x95\x03\x80\xa1\x31\x03\xdd\xff\xff\xff\xff", Misfit::Malformed),
            (b"\x06\x94\x03\xc0\xa1\x31\x02", Misfit::Malformed),
        ] {
            assert_eq!(message_pack(body), Err(misfit), "{body:02x?}");
        }
    }

    #[test]
    fn a_deep_result_costs_no_stack() {
        let mut deep = b"\x95\x03\x80\xa11\x03".to_vec();
        deep.extend(std::iter::repeat_n(0x91, 1 << 20));
        deep.push(0xc0);
        let length = deep.len();
        let prefix = [0x80 | (length & 0x7f) as u8, 0x80 | (length >> 7 & 0x7f) as u8, (length >> 14) as u8];
        assert_eq!(message_pack(&[&prefix[..], &deep].concat()), Ok(()));
        let deep = ["[".repeat(1 << 20), "]".repeat(1 << 20)].concat();
        assert_eq!(json(&format!("{{\"type\":3,\"invocationId\":\"1\",\"result\":{deep}}}\x1e")), Ok(()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = check(&body, Encoding::Json, "1");
            let _ = check(&body, Encoding::MessagePack, "1");
            let completion = [&b"\x95\x03\x80\xa11\x03"[..], &body].concat();
            let _ = message_pack(&framed(&completion));
        }
    }
}
