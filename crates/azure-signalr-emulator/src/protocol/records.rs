//! Records in a stream of bytes: each ends with 0x1E, wherever the frames around it begin and end.
//!
//! What is kept between two pushes is one unfinished record, never more than the limit.

use bytes::{Bytes, BytesMut};

/// Ends a record. It cannot stand inside one: JSON escapes it.
pub(crate) const SEPARATOR: u8 = 0x1E;

/// An unfinished record grew over the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Cuts a stream into records.
#[derive(Debug)]
pub(crate) struct Records {
    unread: BytesMut,
    /// How much of `unread` is known to hold no separator, so that no byte is looked at twice.
    searched: usize,
    limit: usize,
}

impl Records {
    /// `limit` is the longest record, in bytes, without its separator.
    pub(crate) fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), searched: 0, limit }
    }

    /// Appends what came; call `next` until it has nothing more before the next push.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
    }

    /// The next whole record without its separator.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let found = self.unread[self.searched..].iter().position(|&byte| byte == SEPARATOR);
        let Some(offset) = found else {
            self.searched = self.unread.len();
            if self.unread.is_empty() {
                // Lets go of the allocation: most connections are idle most of the time.
                self.unread = BytesMut::new();
            }
            return if self.searched <= self.limit { Ok(None) } else { Err(TooLong) };
        };
        let length = self.searched + offset;
        let mut record = self.unread.split_to(length + 1);
        self.searched = 0;
        record.truncate(length);
        if length <= self.limit { Ok(Some(record.freeze())) } else { Err(TooLong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(records: &mut Records, chunk: &[u8]) -> Vec<Bytes> {
        records.push(chunk);
        std::iter::from_fn(|| records.next().unwrap()).collect()
    }

    #[test]
    fn a_record_may_not_be_longer_than_the_limit_finished_or_not() {
        let mut records = Records::new(3);
        assert_eq!(read(&mut records, b"abc\x1e"), ["abc"]);
        records.push(b"abcd");
        assert_eq!(records.next(), Err(TooLong));
        let mut records = Records::new(3);
        records.push(b"abcd\x1e");
        assert_eq!(records.next(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn the_cuts_between_frames_do_not_matter(
            records in prop::collection::vec("[a-z{}]{0,12}", 0..8),
            cuts in prop::collection::vec(1..9usize, 1..40),
        ) {
            let stream: Vec<u8> = records.iter().flat_map(|record| [record.as_bytes(), &[SEPARATOR]].concat()).collect();
            let (mut reader, mut read_back, mut rest) = (Records::new(12), Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (chunk, left) = rest.split_at((*cut).min(rest.len()));
                read_back.extend(read(&mut reader, chunk));
                rest = left;
            }
            prop_assert_eq!(read_back, records);
            prop_assert!(reader.unread.is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_keeping_more_than_the_limit(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let mut records = Records::new(32);
            for chunk in chunks {
                records.push(&chunk);
                loop {
                    match records.next() {
                        Ok(Some(record)) => prop_assert!(!record.contains(&SEPARATOR)),
                        Ok(None) => break,
                        Err(TooLong) => return Ok(()),
                    }
                }
                prop_assert!(records.unread.len() <= 32);
            }
        }
    }
}
