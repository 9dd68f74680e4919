//! Reads and writes single MessagePack values, with [`rmp`], and the length prefixes of messages.
//!
//! The input is untrusted: texts and binaries are borrowed, an announced length allocates nothing, and nesting needs no stack.

use bytes::Bytes;
use rmp::Marker;
use rmp::decode::{self, ExtMeta};
use rmp::encode::{self, ByteBuf};

use crate::protocol::hub_message::DecodeError;

/// A MessagePack value. Of an array or a map this is only the header; the elements follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::protocol) enum Value<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below 0.
    Negative(i64),
    Float(f64),
    /// Should be UTF-8, but is not validated.
    Text(&'a [u8]),
    Binary(&'a [u8]),
    /// The number of values that follow.
    Array(u32),
    /// The number of pairs that follow.
    Map(u32),
    Extension(i8, &'a [u8]),
}

/// Reads values from a slice.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Reader<'a> {
    rest: decode::Bytes<'a>,
}

impl<'a> Reader<'a> {
    pub(in crate::protocol) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: decode::Bytes::new(bytes) }
    }

    /// The number of bytes that are not read yet.
    pub(in crate::protocol) fn remaining(&self) -> usize {
        self.rest.remaining_slice().len()
    }

    /// Reads the next value, without the elements of an array or map.
    pub(in crate::protocol) fn value(&mut self) -> Result<Value<'a>, DecodeError> {
        let first = *self.rest.remaining_slice().first().ok_or(DecodeError::Truncated)?;
        let rest = &mut self.rest;
        Ok(match Marker::from_u8(first) {
            Marker::Null => {
                decode::read_nil(rest).map_err(truncated)?;
                Value::Nil
            }
            Marker::Reserved => return Err(DecodeError::Reserved),
            Marker::False | Marker::True => Value::Bool(decode::read_bool(rest).map_err(truncated)?),
            Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                Value::Unsigned(decode::read_int(rest).map_err(truncated)?)
            }
            Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
                let number: i64 = decode::read_int(rest).map_err(truncated)?;
                u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned)
            }
            Marker::F32 => Value::Float(decode::read_f32(rest).map_err(truncated)?.into()),
            Marker::F64 => Value::Float(decode::read_f64(rest).map_err(truncated)?),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = decode::read_str_len(rest).map_err(truncated)?;
                Value::Text(self.take(length)?)
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = decode::read_bin_len(rest).map_err(truncated)?;
                Value::Binary(self.take(length)?)
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                Value::Array(decode::read_array_len(rest).map_err(truncated)?)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                Value::Map(decode::read_map_len(rest).map_err(truncated)?)
            }
            // All extensions.
            _ => {
                let ExtMeta { typeid, size } = decode::read_ext_meta(rest).map_err(truncated)?;
                Value::Extension(typeid, self.take(size)?)
            }
        })
    }

    /// Skips the next value with all its elements, and returns its bytes.
    pub(in crate::protocol) fn skip(&mut self) -> Result<&'a [u8], DecodeError> {
        let whole = self.rest.remaining_slice();
        let mut missing: u64 = 1;
        while missing > 0 {
            // Every value has at least one byte, so a larger announced number is wrong.
            if missing > self.remaining() as u64 {
                return Err(DecodeError::Truncated);
            }
            missing -= 1;
            missing += match self.value()? {
                Value::Array(values) => values.into(),
                Value::Map(pairs) => 2 * u64::from(pairs),
                _ => 0,
            };
        }
        Ok(&whole[..whole.len() - self.remaining()])
    }

    /// Borrows the next bytes, which `rmp` would copy.
    fn take(&mut self, length: u32) -> Result<&'a [u8], DecodeError> {
        let rest = self.rest.remaining_slice();
        let (taken, rest) = rest.split_at_checked(length as usize).ok_or(DecodeError::Truncated)?;
        self.rest = decode::Bytes::new(rest);
        Ok(taken)
    }
}

/// The marker is known to fit, so the input is too short.
fn truncated<E>(_: E) -> DecodeError {
    DecodeError::Truncated
}

/// Writes one message, each value in its shortest encoding.
pub(super) struct Writer(ByteBuf);

impl Writer {
    /// `capacity` is the expected length of the message in bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(length_prefix::MAX_BYTES + capacity);
        bytes.extend([0; length_prefix::MAX_BYTES]);
        Self(ByteBuf::from_vec(bytes))
    }

    /// The message with its length prefix, which is written into the space that `new` reserves.
    pub(super) fn into_frame(self) -> Bytes {
        let mut bytes = self.0.into_vec();
        let length = bytes.len() - length_prefix::MAX_BYTES;
        let space = bytes.first_chunk_mut().expect("`new` reserves space for a prefix");
        let start = length_prefix::write(length, space);
        Bytes::from(bytes).slice(start..)
    }

    pub(super) fn nil(&mut self) {
        let Ok(()) = encode::write_nil(&mut self.0);
    }

    pub(super) fn bool(&mut self, value: bool) {
        let Ok(()) = encode::write_bool(&mut self.0, value);
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        let Ok(_) = encode::write_uint(&mut self.0, value);
    }

    pub(super) fn signed(&mut self, value: i64) {
        let Ok(_) = encode::write_sint(&mut self.0, value);
    }

    pub(super) fn float(&mut self, value: f64) {
        let Ok(()) = encode::write_f64(&mut self.0, value);
    }

    pub(super) fn text(&mut self, text: &str) {
        let Ok(_) = encode::write_str_len(&mut self.0, to_u32(text.len()));
        self.0.as_mut_vec().extend_from_slice(text.as_bytes());
    }

    /// Writes the header of an array of `length` values.
    pub(super) fn array(&mut self, length: usize) {
        let Ok(_) = encode::write_array_len(&mut self.0, to_u32(length));
    }

    /// Writes the header of a map of `length` pairs.
    pub(super) fn map(&mut self, length: usize) {
        let Ok(_) = encode::write_map_len(&mut self.0, to_u32(length));
    }
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).expect("bodies are limited to far less than 4 GiB")
}

/// The length before each message: seven bits a byte, the lowest first, the high bit set on all but the last.
pub(in crate::protocol) mod length_prefix {
    use crate::protocol::hub_message::DecodeError;

    /// Maximum length of a prefix.
    pub(super) const MAX_BYTES: usize = 5;

    /// Maximum length of a message that all clients can read.
    const MAX_MESSAGE_BYTES: u64 = 0x7fff_ffff;

    /// Reads the prefix at the start of `bytes`: its own length and the length of the message. `None` if it is incomplete.
    pub(in crate::protocol) fn read(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
        let mut length = 0;
        for (index, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
            length |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let length = usize::try_from(length).ok().filter(|_| length <= MAX_MESSAGE_BYTES);
                return length.map(|length| Some((index + 1, length))).ok_or(DecodeError::LengthPrefix);
            }
        }
        if bytes.len() < MAX_BYTES { Ok(None) } else { Err(DecodeError::LengthPrefix) }
    }

    /// Writes the prefix for `length` to the end of `space`, and returns its start.
    pub(super) fn write(mut length: usize, space: &mut [u8; MAX_BYTES]) -> usize {
        let mut prefix = [0; MAX_BYTES];
        let mut used = 0;
        loop {
            prefix[used] = (length & 0x7f) as u8;
            length >>= 7;
            used += 1;
            if length == 0 || used == MAX_BYTES {
                break;
            }
            prefix[used - 1] |= 0x80;
        }
        let start = MAX_BYTES - used;
        space[start..].copy_from_slice(&prefix[..used]);
        start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(bytes: &[u8]) -> Value<'_> {
        Reader::new(bytes).value().unwrap()
    }

    #[test]
    fn numbers_are_equal_in_any_width() {
        for five in [&[5][..], &[0xcc, 5], &[0xcd, 0, 5], &[0xce, 0, 0, 0, 5], &[0xd0, 5], &[0xd2, 0, 0, 0, 5]] {
            assert_eq!(value(five), Value::Unsigned(5), "{five:x?}");
        }
        for minus_two in [&[0xfe][..], &[0xd0, 0xfe], &[0xd1, 0xff, 0xfe], &[0xd2, 0xff, 0xff, 0xff, 0xfe]] {
            assert_eq!(value(minus_two), Value::Negative(-2), "{minus_two:x?}");
        }
        assert_eq!(value(&[0xca, 0x3f, 0xc0, 0, 0]), Value::Float(1.5));
    }

    #[test]
    fn announced_lengths_of_four_gibibytes_are_rejected() {
        for header in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
            let bytes = [header, 0xff, 0xff, 0xff, 0xff, 0, 0, 0];
            assert_eq!(Reader::new(&bytes).skip(), Err(DecodeError::Truncated), "{header:x}");
        }
    }

    #[test]
    fn half_a_million_levels_need_no_stack() {
        let mut deep = vec![0x91; 500_000];
        assert_eq!(Reader::new(&deep).skip(), Err(DecodeError::Truncated));
        deep.push(0xc0);
        assert_eq!(Reader::new(&deep).skip(), Ok(&deep[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_values_exactly_where_rmpv_reads_them(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
            let mut rest = &bytes[..];
            let other = rmpv::decode::read_value_ref(&mut rest);
            let mut reader = Reader::new(&bytes);
            // `rmpv` accepts the reserved byte as nil.
            match reader.skip() {
                Err(DecodeError::Reserved) => {}
                skipped => {
                    prop_assert_eq!(skipped.is_ok(), other.is_ok());
                    prop_assert!(other.is_err() || reader.remaining() == rest.len());
                }
            }
        }
    }

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new(0);
        write(&mut writer);
        writer.0.into_vec().split_off(length_prefix::MAX_BYTES)
    }

    /// Integers near all powers of two, where widths change.
    fn integer() -> impl Strategy<Value = i64> {
        (0..63u32, -2..=2i64, any::<bool>()).prop_map(|(bits, near, below)| {
            let power = (1i64 << bits) + near;
            if below { -power } else { power }
        })
    }

    fn encoded(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_rmpv_writes_them(value in integer(), float in any::<f64>()) {
            prop_assert_eq!(written(|to| to.signed(value)), encoded(&value.into()));
            let positive = value.cast_unsigned();
            prop_assert_eq!(written(|to| to.unsigned(positive)), encoded(&positive.into()));
            prop_assert_eq!(written(|to| to.float(float)), encoded(&float.into()));
        }
    }

    #[test]
    fn lengths_are_written_as_rmpv_writes_them() {
        for length in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(length);
            assert_eq!(written(|to| to.text(&text)), encoded(&text.as_str().into()));
            let array = rmpv::Value::Array(vec![rmpv::Value::Nil; length]);
            // The elements are nil, the byte 0xC0.
            assert_eq!([written(|to| to.array(length)), vec![0xc0; length]].concat(), encoded(&array));
            let map = rmpv::Value::Map(vec![(rmpv::Value::Nil, rmpv::Value::Nil); length]);
            assert_eq!([written(|to| to.map(length)), vec![0xc0; 2 * length]].concat(), encoded(&map));
        }
    }

    fn prefix(length: usize) -> Vec<u8> {
        let mut space = [0; length_prefix::MAX_BYTES];
        let start = length_prefix::write(length, &mut space);
        space[start..].to_vec()
    }

    #[test]
    fn length_prefixes_are_as_short_as_possible() {
        assert_eq!(prefix(0), [0]);
        assert_eq!(prefix(127), [0x7f]);
        assert_eq!(prefix(210), [0xd2, 0x01]);
        assert_eq!(prefix(0x7fff_ffff), [0xff, 0xff, 0xff, 0xff, 0x07]);
    }

    #[test]
    fn a_length_prefix_has_five_bytes_and_two_gibibytes_at_most() {
        assert_eq!(length_prefix::read(&[]), Ok(None));
        assert_eq!(length_prefix::read(&[0xff; 4]), Ok(None));
        assert_eq!(length_prefix::read(&[0xff, 0xff, 0xff, 0xff, 0x07]), Ok(Some((5, 0x7fff_ffff))));
        assert_eq!(length_prefix::read(&[0x80, 0x80, 0x80, 0x80, 0x08]), Err(DecodeError::LengthPrefix));
        assert_eq!(length_prefix::read(&[0xff; 5]), Err(DecodeError::LengthPrefix));
    }

    proptest! {
        #[test]
        fn a_written_length_prefix_is_read(length in 0..=0x7fff_ffffusize, after in any::<[u8; 3]>()) {
            let written = prefix(length);
            prop_assert_eq!(length_prefix::read(&[&written[..], &after].concat()), Ok(Some((written.len(), length))));
            prop_assert_eq!(length_prefix::read(&written[..written.len() - 1]), Ok(None));
        }
    }
}
