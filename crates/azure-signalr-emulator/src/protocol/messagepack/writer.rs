//! Writes MessagePack, each value as short as it can be.
//!
//! The length prefix of the message is written last, into room that is kept before it, so that nothing is moved.

use bytes::Bytes;

use super::length_prefix::{self, LONGEST};

pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins a message of about `capacity` bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(LONGEST + capacity);
        bytes.extend([0; LONGEST]);
        Self { bytes }
    }

    /// The message with its length before it.
    pub(super) fn into_frame(mut self) -> Bytes {
        let length = self.bytes.len() - LONGEST;
        let room = self.bytes.first_chunk_mut().expect("`new` keeps room for a prefix");
        let start = length_prefix::write(length, room);
        Bytes::from(self.bytes).slice(start..)
    }

    pub(super) fn nil(&mut self) {
        self.bytes.push(0xc0);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.bytes.push(if value { 0xc3 } else { 0xc2 });
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        match value {
            0..=0x7f => self.bytes.push(value as u8),
            0x80..=0xff => self.put(0xcc, (value as u8).to_be_bytes()),
            0x100..=0xffff => self.put(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.put(0xce, (value as u32).to_be_bytes()),
            _ => self.put(0xcf, value.to_be_bytes()),
        }
    }

    pub(super) fn signed(&mut self, value: i64) {
        match value {
            0.. => self.unsigned(value.cast_unsigned()),
            -0x20.. => self.bytes.push(value as u8),
            -0x80.. => self.put(0xd0, (value as i8).to_be_bytes()),
            -0x8000.. => self.put(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000.. => self.put(0xd2, (value as i32).to_be_bytes()),
            _ => self.put(0xd3, value.to_be_bytes()),
        }
    }

    pub(super) fn float(&mut self, value: f64) {
        self.put(0xcb, value.to_be_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        match length(text.len()) {
            length @ 0..=0x1f => self.bytes.push(0xa0 | length as u8),
            length @ 0x20..=0xff => self.put(0xd9, (length as u8).to_be_bytes()),
            length @ 0x100..=0xffff => self.put(0xda, (length as u16).to_be_bytes()),
            length => self.put(0xdb, length.to_be_bytes()),
        }
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// So many values follow.
    pub(super) fn array(&mut self, values: usize) {
        match length(values) {
            length @ 0..=0x0f => self.bytes.push(0x90 | length as u8),
            length @ 0x10..=0xffff => self.put(0xdc, (length as u16).to_be_bytes()),
            length => self.put(0xdd, length.to_be_bytes()),
        }
    }

    /// So many pairs of values follow.
    pub(super) fn map(&mut self, pairs: usize) {
        match length(pairs) {
            length @ 0..=0x0f => self.bytes.push(0x80 | length as u8),
            length @ 0x10..=0xffff => self.put(0xde, (length as u16).to_be_bytes()),
            length => self.put(0xdf, length.to_be_bytes()),
        }
    }

    fn put<const N: usize>(&mut self, marker: u8, value: [u8; N]) {
        self.bytes.push(marker);
        self.bytes.extend_from_slice(&value);
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("what is written was read from a body far smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new(0);
        write(&mut writer);
        writer.bytes.split_off(LONGEST)
    }

    /// Integers near all powers of two, where widths change.
    fn integer() -> impl Strategy<Value = i64> {
        (0..63u32, -2..=2i64, any::<bool>()).prop_map(|(bits, near, below)| {
            let power = (1i64 << bits) + near;
            if below { -power } else { power }
        })
    }

    fn others(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_another_implementation_does_it(value in integer(), float in any::<f64>()) {
            prop_assert_eq!(written(|to| to.signed(value)), others(&value.into()));
            let positive = value.cast_unsigned();
            prop_assert_eq!(written(|to| to.unsigned(positive)), others(&positive.into()));
            prop_assert_eq!(written(|to| to.float(float)), others(&float.into()));
        }
    }

    #[test]
    fn lengths_are_written_as_another_implementation_does_it() {
        for length in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(length);
            assert_eq!(written(|to| to.text(&text)), others(&text.as_str().into()));
            let array = rmpv::Value::Array(vec![rmpv::Value::Nil; length]);
            let nils = |to: &mut Writer, count| (0..count).for_each(|_| to.nil());
            assert_eq!(
                written(|to| {
                    to.array(length);
                    nils(to, length);
                }),
                others(&array)
            );
            let map = rmpv::Value::Map(vec![(rmpv::Value::Nil, rmpv::Value::Nil); length]);
            assert_eq!(
                written(|to| {
                    to.map(length);
                    nils(to, 2 * length);
                }),
                others(&map)
            );
        }
    }
}
