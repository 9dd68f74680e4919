//! Hub messages in a stream of bytes, wherever the frames around them begin and end.
//!
//! What is kept between two pushes is one unfinished message, never more than the limit; what a length prefix claims
//! is never believed before it has come.

use bytes::{Bytes, BytesMut};

use super::malformed::Fault;
use super::messagepack::length_prefix;
use super::{ClientMessage, Malformed, Protocol, TooLong};

/// Ends a JSON record. It cannot stand inside one: JSON escapes it.
pub(super) const SEPARATOR: u8 = 0x1E;

/// Cuts a stream into messages.
///
/// After an error there is no way to go on: what was malformed is skipped, but a peer that sends such things is not to
/// be trusted with the rest, and behind a message that is too long nobody knows where the next one begins.
#[derive(Debug)]
pub(crate) struct Incoming {
    unread: BytesMut,
    /// How much of `unread` is known to hold no separator, so that no byte is looked at twice.
    searched: usize,
    limit: usize,
}

impl Incoming {
    /// `limit` is the longest message, in bytes, without its separator or length prefix.
    pub(crate) fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), searched: 0, limit }
    }

    /// Appends what came. All messages are to be taken out before the next push.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
    }

    /// The record a conversation begins with, without its separator: JSON, whatever comes after it.
    pub(crate) fn next_handshake(&mut self) -> Result<Option<Bytes>, TooLong> {
        self.next_record()
    }

    /// The next message.
    pub(crate) fn next(&mut self, protocol: Protocol) -> Result<Option<ClientMessage>, Malformed> {
        let message = match protocol {
            Protocol::Json => self.next_record().map_err(Fault::TooLong),
            Protocol::MessagePack => self.next_prefixed(),
        };
        let message = message.map_err(|fault| Malformed { protocol, fault })?;
        message.map(|message| protocol.read(&message)).transpose()
    }

    /// Up to the next separator.
    fn next_record(&mut self) -> Result<Option<Bytes>, TooLong> {
        let found = self.unread[self.searched..].iter().position(|&byte| byte == SEPARATOR);
        let length = found.map_or(self.unread.len(), |offset| self.searched + offset);
        if length > self.limit {
            return Err(self.too_long());
        }
        if found.is_none() {
            self.searched = length;
            self.let_go_if_empty();
            return Ok(None);
        }
        self.searched = 0;
        let mut record = self.unread.split_to(length + 1);
        record.truncate(length);
        Ok(Some(record.freeze()))
    }

    /// As many bytes as the length prefix says.
    fn next_prefixed(&mut self) -> Result<Option<Bytes>, Fault> {
        let prefix = length_prefix::read(&self.unread).inspect_err(|_| self.give_up())?;
        let Some((prefix, length)) = prefix else {
            self.let_go_if_empty();
            return Ok(None);
        };
        if length > self.limit {
            return Err(Fault::TooLong(self.too_long()));
        }
        if self.unread.len() < prefix + length {
            return Ok(None);
        }
        let frame = self.unread.split_to(prefix + length).freeze();
        Ok(Some(frame.slice(prefix..)))
    }

    /// Most connections are idle most of the time, and should then cost no buffer.
    fn let_go_if_empty(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    fn too_long(&mut self) -> TooLong {
        self.give_up();
        TooLong { limit: self.limit }
    }

    fn give_up(&mut self) {
        *self = Self::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::protocol::{Outcome, ServerMessage, testing};

    const BOTH: [Protocol; 2] = [Protocol::Json, Protocol::MessagePack];

    /// Everything in the stream after `chunk`, until it is malformed.
    fn read(
        incoming: &mut Incoming,
        protocol: Protocol,
        chunk: &[u8],
    ) -> Vec<Result<ClientMessage, Malformed>> {
        incoming.push(chunk);
        let mut messages = Vec::new();
        while let Some(message) = incoming.next(protocol).transpose() {
            let is_over = message.is_err();
            messages.push(message);
            if is_over {
                break;
            }
        }
        messages
    }

    /// Everything in a stream that comes in chunks of these lengths.
    fn read_in(
        chunks: &[usize],
        protocol: Protocol,
        stream: &[u8],
        limit: usize,
    ) -> Vec<Result<ClientMessage, Malformed>> {
        let (mut incoming, mut messages, mut rest) = (Incoming::new(limit), Vec::new(), stream);
        for &length in chunks.iter().cycle() {
            if rest.is_empty() || messages.last().is_some_and(Result::is_err) {
                break;
            }
            let (chunk, left) = rest.split_at(length.min(rest.len()));
            messages.extend(read(&mut incoming, protocol, chunk));
            rest = left;
        }
        messages
    }

    fn frame(protocol: Protocol, id: &str, result: &RawValue) -> Bytes {
        let outcome = Outcome::Result(result.to_owned());
        protocol.encode(&ServerMessage::Completion { id, outcome: &outcome }).into()
    }

    #[test]
    fn case_29_frames_do_not_matter() {
        for protocol in BOTH {
            let ping = protocol.encode(&ServerMessage::Ping);
            let two = [ping.as_bytes(), ping.as_bytes()].concat();
            for chunks in [&[two.len()][..], &[1], &[ping.len() + 1], &[ping.len() - 1]] {
                let read = read_in(chunks, protocol, &two, 100);
                assert_eq!(read, [Ok(ClientMessage::Ping), Ok(ClientMessage::Ping)]);
            }
        }
    }

    #[test]
    fn case_28_a_handshake_is_json_whatever_follows_it_in_the_same_frame() {
        for protocol in BOTH {
            let mut incoming = Incoming::new(100);
            incoming.push(b"{\"proto");
            assert_eq!(incoming.next_handshake(), Ok(None));
            let ping = protocol.encode(&ServerMessage::Ping);
            incoming.push(&[b"col\":0}\x1e", ping.as_bytes()].concat());
            assert_eq!(incoming.next_handshake(), Ok(Some(Bytes::from_static(b"{\"protocol\":0}"))));
            assert_eq!(incoming.next(protocol), Ok(Some(ClientMessage::Ping)));
            assert_eq!(incoming.next(protocol), Ok(None));
        }
    }

    #[test]
    fn a_message_may_not_be_longer_than_the_limit_finished_or_not() {
        let message = br#"{"type":6}"#;
        let record = [&message[..], b"\x1e"].concat();
        let limit = message.len();
        assert_eq!(read_in(&[99], Protocol::Json, &record, limit), [Ok(ClientMessage::Ping)]);
        let too_long =
            |protocol, limit| Err(Malformed { protocol, fault: Fault::TooLong(TooLong { limit }) });
        for stream in [&record[..], message] {
            let read = read_in(&[99], Protocol::Json, stream, limit - 1);
            assert_eq!(read, [too_long(Protocol::Json, limit - 1)]);
            assert_eq!(read[0].as_ref().unwrap_err().to_string(), "a message is longer than 9 bytes");
        }
        assert_eq!(read_in(&[99], Protocol::MessagePack, &[2, 0x91, 6], 2), [Ok(ClientMessage::Ping)]);
        for stream in [&[2, 0x91, 6][..], &[2]] {
            let read = read_in(&[99], Protocol::MessagePack, stream, 1);
            assert_eq!(read, [too_long(Protocol::MessagePack, 1)]);
        }
        let mut incoming = Incoming::new(3);
        incoming.push(b"abcd");
        assert_eq!(incoming.next_handshake(), Err(TooLong { limit: 3 }));
    }

    #[test]
    fn a_length_prefix_that_is_none_is_malformed() {
        let read = read_in(&[1], Protocol::MessagePack, &[0xff; 9], 100);
        let expected = Malformed { protocol: Protocol::MessagePack, fault: Fault::LengthPrefix };
        assert_eq!(read, [Err(expected)]);
    }

    #[test]
    fn memory_is_given_back_when_all_is_read() {
        let result = RawValue::from_string(format!("\"{}\"", "x".repeat(1 << 20))).unwrap();
        for protocol in BOTH {
            let mut incoming = Incoming::new(2 << 20);
            assert_eq!(read(&mut incoming, protocol, &frame(protocol, "1", &result)).len(), 1);
            assert_eq!(incoming.unread.capacity(), 0);
        }
    }

    fn message() -> impl Strategy<Value = (String, Box<RawValue>)> {
        let result = testing::json().prop_map(|json| RawValue::from_string(json.to_string()).unwrap());
        ("[^\0]{1,9}", result)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_whatever_the_chunks(
            messages in prop::collection::vec(message(), 0..5),
            chunks in prop::collection::vec(1..40usize, 1..9),
        ) {
            for protocol in BOTH {
                let stream: Vec<u8> =
                    messages.iter().flat_map(|(id, result)| frame(protocol, id, result)).collect();
                let expected = messages.iter().map(|(id, result)| {
                    Ok(ClientMessage::Completion { id: id.clone(), outcome: Outcome::Result(result.clone()) })
                });
                let expected: Vec<_> = expected.collect();
                prop_assert_eq!(read_in(&chunks, protocol, &stream, 1 << 16), expected);
            }
        }

        #[test]
        fn any_bytes_are_read_alike_in_any_chunks(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(SEPARATOR), Just(0x91), 0..9u8], 0..200),
            chunks in prop::collection::vec(1..40usize, 1..9),
        ) {
            for protocol in BOTH {
                let whole = read_in(&[bytes.len().max(1)], protocol, &bytes, 32);
                prop_assert_eq!(read_in(&chunks, protocol, &bytes, 32), whole);
            }
        }

        #[test]
        fn any_bytes_are_read_without_keeping_more_than_the_limit(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            for protocol in BOTH {
                let mut incoming = Incoming::new(32);
                for chunk in &chunks {
                    if read(&mut incoming, protocol, chunk).last().is_some_and(Result::is_err) {
                        break;
                    }
                    prop_assert!(incoming.unread.len() <= 32 + 5);
                }
            }
        }
    }
}
