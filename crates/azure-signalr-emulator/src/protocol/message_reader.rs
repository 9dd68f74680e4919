//! Splits a stream of bytes into hub messages, independently of the frames that carry them.
//!
//! Between two chunks at most one unfinished message is kept, never more than the limit. A length prefix reserves no memory.

use bytes::{Bytes, BytesMut};

use super::hub_message::{ClientMessage, DecodeError, MalformedMessage, MessageTooLong, Protocol};
use super::messagepack::length_prefix;

/// Ends a JSON record. It cannot occur inside one, since JSON escapes it.
pub(super) const RECORD_SEPARATOR: u8 = 0x1E;

/// Splits a stream into messages.
///
/// An error ends the stream: after a message that is too long the start of the next one is unknown.
#[derive(Debug)]
pub(crate) struct MessageReader {
    unread: BytesMut,
    /// The number of bytes of `unread` that were searched and hold no separator.
    searched: usize,
    limit: usize,
}

impl MessageReader {
    /// `limit` is the maximum length of a message in bytes, without separator or length prefix.
    pub(crate) fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), searched: 0, limit }
    }

    /// Appends received bytes. Call it only after [`next_message`](Self::next_message) has returned `None`.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
    }

    /// The handshake request, without its separator. It is JSON for every protocol.
    pub(crate) fn next_handshake(&mut self) -> Result<Option<Bytes>, MessageTooLong> {
        self.next_record()
    }

    /// The bytes that are not a whole message yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The next message, or `None` until more bytes arrive.
    pub(crate) fn next_message(&mut self, protocol: Protocol) -> Result<Option<ClientMessage>, MalformedMessage> {
        let message = match protocol {
            Protocol::Json => self.next_record().map_err(DecodeError::from),
            Protocol::MessagePack => self.next_prefixed(),
        };
        let message = message.map_err(|error| MalformedMessage { protocol, error })?;
        message.map(|message| protocol.decode(&message)).transpose()
    }

    fn next_record(&mut self) -> Result<Option<Bytes>, MessageTooLong> {
        let found = self.unread[self.searched..].iter().position(|&byte| byte == RECORD_SEPARATOR);
        let length = found.map_or(self.unread.len(), |offset| self.searched + offset);
        if length > self.limit {
            return Err(self.too_long());
        }
        if found.is_none() {
            self.searched = length;
            self.free_if_empty();
            return Ok(None);
        }
        self.searched = 0;
        let mut record = self.unread.split_to(length + 1);
        record.truncate(length);
        Ok(Some(record.freeze()))
    }

    fn next_prefixed(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let prefix = length_prefix::read(&self.unread).inspect_err(|_| self.reset())?;
        let Some((prefix, length)) = prefix else {
            self.free_if_empty();
            return Ok(None);
        };
        if length > self.limit {
            return Err(self.too_long().into());
        }
        if self.unread.len() < prefix + length {
            return Ok(None);
        }
        let frame = self.unread.split_to(prefix + length).freeze();
        Ok(Some(frame.slice(prefix..)))
    }

    /// Frees the buffer, so that an idle connection holds none.
    fn free_if_empty(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }

    fn too_long(&mut self) -> MessageTooLong {
        self.reset();
        MessageTooLong { limit: self.limit }
    }

    fn reset(&mut self) {
        *self = Self::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::protocol::{Outcome, ServerMessage, test_support};

    const BOTH: [Protocol; 2] = [Protocol::Json, Protocol::MessagePack];

    /// All messages after `chunk`, up to the first error.
    fn read(
        reader: &mut MessageReader,
        protocol: Protocol,
        chunk: &[u8],
    ) -> Vec<Result<ClientMessage, MalformedMessage>> {
        reader.push(chunk);
        let mut messages = Vec::new();
        while let Some(message) = reader.next_message(protocol).transpose() {
            let is_over = message.is_err();
            messages.push(message);
            if is_over {
                break;
            }
        }
        messages
    }

    /// All messages of a stream that arrives in chunks of these lengths.
    fn read_in(
        chunks: &[usize],
        protocol: Protocol,
        stream: &[u8],
        limit: usize,
    ) -> Vec<Result<ClientMessage, MalformedMessage>> {
        let (mut reader, mut messages, mut rest) = (MessageReader::new(limit), Vec::new(), stream);
        for &length in chunks.iter().cycle() {
            if rest.is_empty() || messages.last().is_some_and(Result::is_err) {
                break;
            }
            let (chunk, left) = rest.split_at(length.min(rest.len()));
            messages.extend(read(&mut reader, protocol, chunk));
            rest = left;
        }
        messages
    }

    fn frame(protocol: Protocol, id: &str, result: &RawValue) -> Bytes {
        let outcome = Outcome::Result(result.to_owned());
        Bytes::copy_from_slice(protocol.encode(&ServerMessage::Completion { id, outcome: &outcome }).payload())
    }

    #[test]
    fn case_29_messages_are_read_independently_of_frames() {
        for protocol in BOTH {
            let ping = protocol.encode(&ServerMessage::Ping);
            let two = [ping.payload(), ping.payload()].concat();
            for chunks in [&[two.len()][..], &[1], &[ping.len() + 1], &[ping.len() - 1]] {
                let read = read_in(chunks, protocol, &two, 100);
                assert_eq!(read, [Ok(ClientMessage::Ping), Ok(ClientMessage::Ping)]);
            }
        }
    }

    #[test]
    fn case_28_a_handshake_is_json_for_either_protocol_that_follows_it() {
        for protocol in BOTH {
            let mut reader = MessageReader::new(100);
            reader.push(b"{\"proto");
            assert_eq!(reader.next_handshake(), Ok(None));
            let ping = protocol.encode(&ServerMessage::Ping);
            reader.push(&[b"col\":0}\x1e", ping.payload()].concat());
            assert_eq!(reader.next_handshake(), Ok(Some(Bytes::from_static(b"{\"protocol\":0}"))));
            assert_eq!(reader.next_message(protocol), Ok(Some(ClientMessage::Ping)));
            assert_eq!(reader.next_message(protocol), Ok(None));
        }
    }

    #[test]
    fn a_message_over_the_limit_is_an_error_finished_or_not() {
        let message = br#"{"type":6}"#;
        let record = [&message[..], b"\x1e"].concat();
        let limit = message.len();
        assert_eq!(read_in(&[99], Protocol::Json, &record, limit), [Ok(ClientMessage::Ping)]);
        let too_long =
            |protocol, limit| Err(MalformedMessage { protocol, error: DecodeError::TooLong(MessageTooLong { limit }) });
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
        let mut reader = MessageReader::new(3);
        reader.push(b"abcd");
        assert_eq!(reader.next_handshake(), Err(MessageTooLong { limit: 3 }));
    }

    #[test]
    fn an_endless_length_prefix_is_malformed() {
        let read = read_in(&[1], Protocol::MessagePack, &[0xff; 9], 100);
        let expected = MalformedMessage { protocol: Protocol::MessagePack, error: DecodeError::LengthPrefix };
        assert_eq!(read, [Err(expected)]);
    }

    #[test]
    fn memory_is_freed_when_everything_is_read() {
        let result = RawValue::from_string(format!("\"{}\"", "x".repeat(1 << 20))).unwrap();
        for protocol in BOTH {
            let mut reader = MessageReader::new(2 << 20);
            assert_eq!(read(&mut reader, protocol, &frame(protocol, "1", &result)).len(), 1);
            assert_eq!(reader.unread.capacity(), 0);
        }
    }

    fn message() -> impl Strategy<Value = (String, Box<RawValue>)> {
        let result = test_support::json().prop_map(|json| RawValue::from_string(json.to_string()).unwrap());
        ("[^\0]{1,9}", result)
    }

    proptest! {
        #[test]
        fn encoded_messages_are_read_in_any_chunks(
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
        fn any_bytes_give_the_same_messages_in_any_chunks(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(RECORD_SEPARATOR), Just(0x91), 0..9u8], 0..200),
            chunks in prop::collection::vec(1..40usize, 1..9),
        ) {
            for protocol in BOTH {
                let whole = read_in(&[bytes.len().max(1)], protocol, &bytes, 32);
                prop_assert_eq!(read_in(&chunks, protocol, &bytes, 32), whole);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_keep_more_than_the_limit(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            for protocol in BOTH {
                let mut reader = MessageReader::new(32);
                for chunk in &chunks {
                    if read(&mut reader, protocol, chunk).last().is_some_and(Result::is_err) {
                        break;
                    }
                    prop_assert!(reader.unread.len() <= 32 + 5);
                }
            }
        }
    }
}
