//! The length before each message: seven bits a byte, the lowest first, the high bit set on all but the last.

use crate::protocol::malformed::Fault;

/// Most bytes a prefix may have.
pub(super) const LONGEST: usize = 5;

/// Largest length all clients can read.
const LARGEST: u64 = 0x7fff_ffff;

/// The prefix that `bytes` begin with: its own length and the one it tells. `None` if it has not all come.
pub(in crate::protocol) fn read(bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let mut length = 0;
    for (index, &byte) in bytes.iter().take(LONGEST).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).ok().filter(|_| length <= LARGEST);
            return length.map(|length| Some((index + 1, length))).ok_or(Fault::LengthPrefix);
        }
    }
    if bytes.len() < LONGEST { Ok(None) } else { Err(Fault::LengthPrefix) }
}

/// Writes the prefix for `length` to the end of `room`, and tells where it begins.
pub(super) fn write(mut length: usize, room: &mut [u8; LONGEST]) -> usize {
    let mut prefix = [0; LONGEST];
    let mut used = 0;
    loop {
        prefix[used] = (length & 0x7f) as u8;
        length >>= 7;
        used += 1;
        if length == 0 || used == LONGEST {
            break;
        }
        prefix[used - 1] |= 0x80;
    }
    let start = LONGEST - used;
    room[start..].copy_from_slice(&prefix[..used]);
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(length: usize) -> Vec<u8> {
        let mut room = [0; LONGEST];
        let start = write(length, &mut room);
        room[start..].to_vec()
    }

    #[test]
    fn prefixes_are_as_short_as_can_be() {
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [0x7f]);
        assert_eq!(written(210), [0xd2, 0x01]);
        assert_eq!(written(0x7fff_ffff), [0xff, 0xff, 0xff, 0xff, 0x07]);
    }

    #[test]
    fn a_prefix_ends_in_time_and_claims_no_more_than_any_message_may_have() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[0xff; 4]), Ok(None));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x07]), Ok(Some((5, 0x7fff_ffff))));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x08]), Err(Fault::LengthPrefix));
        assert_eq!(read(&[0xff; 5]), Err(Fault::LengthPrefix));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(length in 0..=0x7fff_ffffusize, after in any::<[u8; 3]>()) {
            let prefix = written(length);
            prop_assert_eq!(read(&[&prefix[..], &after].concat()), Ok(Some((prefix.len(), length))));
            prop_assert_eq!(read(&prefix[..prefix.len() - 1]), Ok(None));
        }
    }
}
