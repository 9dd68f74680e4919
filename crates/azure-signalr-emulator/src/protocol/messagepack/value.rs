//! MessagePack, one value after the other.
//!
//! An array or a map is only its header here; its elements come next. So nesting costs nothing, and no number of
//! elements that is claimed makes anything grow.

use crate::protocol::malformed::Fault;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::protocol) enum Value<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below 0.
    Negative(i64),
    Float(f64),
    /// Should be UTF-8, but is not checked.
    Text(&'a [u8]),
    Binary(&'a [u8]),
    /// So many values follow.
    Array(u32),
    /// So many pairs of values follow.
    Map(u32),
    Extension(i8, &'a [u8]),
}

/// Reads values off a slice.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::protocol) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are not read yet.
    pub(in crate::protocol) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next value, without the elements of an array or map.
    pub(in crate::protocol) fn value(&mut self) -> Result<Value<'a>, Fault> {
        let first = self.take(1)?[0];
        Ok(match first {
            0x00..=0x7f => Value::Unsigned(first.into()),
            0x80..=0x8f => Value::Map((first & 0x0f).into()),
            0x90..=0x9f => Value::Array((first & 0x0f).into()),
            0xa0..=0xbf => Value::Text(self.take((first & 0x1f).into())?),
            0xc0 => Value::Nil,
            0xc1 => return Err(Fault::Reserved),
            0xc2 | 0xc3 => Value::Bool(first == 0xc3),
            0xc4..=0xc6 => Value::Binary(self.sized(1 << (first - 0xc4))?),
            0xc7..=0xc9 => {
                let length = self.number32(1 << (first - 0xc7))?;
                self.extension(length as usize)?
            }
            0xca => Value::Float(f32::from_bits(self.number32(4)?).into()),
            0xcb => Value::Float(f64::from_bits(self.number64(8)?)),
            0xcc..=0xcf => Value::Unsigned(self.number64(1 << (first - 0xcc))?),
            0xd0..=0xd3 => self.signed(1 << (first - 0xd0))?,
            0xd4..=0xd8 => self.extension(1 << (first - 0xd4))?,
            0xd9..=0xdb => Value::Text(self.sized(1 << (first - 0xd9))?),
            0xdc | 0xdd => Value::Array(self.number32(2 << (first - 0xdc))?),
            0xde | 0xdf => Value::Map(self.number32(2 << (first - 0xde))?),
            0xe0..=0xff => Value::Negative(i8::from_be_bytes([first]).into()),
        })
    }

    /// The bytes of the next value with all its elements.
    pub(in crate::protocol) fn skip(&mut self) -> Result<&'a [u8], Fault> {
        let whole = self.rest;
        let mut missing: u64 = 1;
        while missing > 0 {
            // Every value is a byte at least, so a claim that cannot be true ends here.
            if missing > self.rest.len() as u64 {
                return Err(Fault::Truncated);
            }
            missing -= 1;
            missing += match self.value()? {
                Value::Array(values) => values.into(),
                Value::Map(pairs) => 2 * u64::from(pairs),
                _ => 0,
            };
        }
        Ok(&whole[..whole.len() - self.rest.len()])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A big-endian number of `width` bytes, eight at most.
    fn number64(&mut self, width: usize) -> Result<u64, Fault> {
        Ok(self.take(width)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A number of `width` bytes, four at most.
    fn number32(&mut self, width: usize) -> Result<u32, Fault> {
        Ok(self.take(width)?.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn signed(&mut self, width: usize) -> Result<Value<'a>, Fault> {
        let unused = 64 - 8 * width;
        let number = (self.number64(width)? << unused).cast_signed() >> unused;
        Ok(u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned))
    }

    /// As many bytes as the next `width` bytes say.
    fn sized(&mut self, width: usize) -> Result<&'a [u8], Fault> {
        let length = self.number32(width)?;
        self.take(length as usize)
    }

    fn extension(&mut self, length: usize) -> Result<Value<'a>, Fault> {
        let kind = i8::from_be_bytes([self.take(1)?[0]]);
        Ok(Value::Extension(kind, self.take(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(bytes: &[u8]) -> Value<'_> {
        Reader::new(bytes).value().unwrap()
    }

    #[test]
    fn numbers_are_the_same_however_wide_they_are_written() {
        for five in
            [&[5][..], &[0xcc, 5], &[0xcd, 0, 5], &[0xce, 0, 0, 0, 5], &[0xd0, 5], &[0xd2, 0, 0, 0, 5]]
        {
            assert_eq!(value(five), Value::Unsigned(5), "{five:x?}");
        }
        for minus_two in [&[0xfe][..], &[0xd0, 0xfe], &[0xd1, 0xff, 0xfe], &[0xd2, 0xff, 0xff, 0xff, 0xfe]] {
            assert_eq!(value(minus_two), Value::Negative(-2), "{minus_two:x?}");
        }
        assert_eq!(value(&[0xca, 0x3f, 0xc0, 0, 0]), Value::Float(1.5));
    }

    #[test]
    fn claims_of_four_gibibytes_are_not_believed() {
        for header in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
            let bytes = [header, 0xff, 0xff, 0xff, 0xff, 0, 0, 0];
            assert_eq!(Reader::new(&bytes).skip(), Err(Fault::Truncated), "{header:x}");
        }
    }

    #[test]
    fn half_a_million_levels_cost_no_stack() {
        let mut deep = vec![0x91; 500_000];
        assert_eq!(Reader::new(&deep).skip(), Err(Fault::Truncated));
        deep.push(0xc0);
        assert_eq!(Reader::new(&deep).skip(), Ok(&deep[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_values_where_another_implementation_says_so(
            bytes in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let mut others = &bytes[..];
            let other = rmpv::decode::read_value_ref(&mut others);
            let mut reader = Reader::new(&bytes);
            // The other one takes the reserved byte for nil, and is not asked about it.
            match reader.skip() {
                Err(Fault::Reserved) => {}
                skipped => {
                    prop_assert_eq!(skipped.is_ok(), other.is_ok());
                    prop_assert!(other.is_err() || reader.left() == others.len());
                }
            }
        }
    }
}
