//! [`Batch`]: frames that are sent together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::vec;

use super::queued::Queued;
use crate::protocol::Frame;

/// Maximum number of entries in one write.
const MAX_SLICES: usize = 256;

/// Frames that were taken from a queue, in order. The first one may have been sent in part.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    queued: VecDeque<Queued>,
    /// How many bytes of the first entry were sent.
    sent_bytes: usize,
}

impl From<VecDeque<Queued>> for Batch {
    fn from(queued: VecDeque<Queued>) -> Self {
        Self { queued, sent_bytes: 0 }
    }
}

impl From<Frame> for Batch {
    fn from(frame: Frame) -> Self {
        Self::from_iter([frame])
    }
}

impl FromIterator<Frame> for Batch {
    fn from_iter<I: IntoIterator<Item = Frame>>(frames: I) -> Self {
        frames.into_iter().map(Queued::from).collect::<VecDeque<_>>().into()
    }
}

impl Extend<Frame> for Batch {
    fn extend<I: IntoIterator<Item = Frame>>(&mut self, frames: I) {
        self.queued.extend(frames.into_iter().map(Queued::from));
    }
}

impl IntoIterator for Batch {
    type Item = Frame;
    type IntoIter = vec::IntoIter<Frame>;

    /// For transports that send no WebSocket frames, and so no part of one.
    fn into_iter(self) -> Self::IntoIter {
        let frames: Vec<Frame> = self.queued.iter().flat_map(Queued::frames).cloned().collect();
        frames.into_iter()
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Sends as much as `write` takes in one call, as WebSocket frames. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// The error of `write`, and `WriteZero` if it takes nothing.
    pub(crate) fn write_with(&mut self, write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<usize> {
        // An array no larger than needed, since all of it is initialized for each write.
        let written = match self.queued.len() {
            0 => Ok(0),
            1 => self.write_slices::<1>(write),
            2..=16 => self.write_slices::<16>(write),
            _ => self.write_slices::<MAX_SLICES>(write),
        };
        match written? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            bytes => {
                self.advance(bytes);
                Ok(bytes)
            }
        }
    }

    fn write_slices<const N: usize>(
        &self,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); N];
        let bytes = self.queued.iter().map(Queued::websocket_bytes).enumerate();
        let bytes = bytes.map(|(index, bytes)| if index == 0 { &bytes[self.sent_bytes..] } else { bytes });
        let count = slices.iter_mut().zip(bytes).map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count();
        write(&slices[..count])
    }

    fn advance(&mut self, bytes: usize) {
        self.sent_bytes += bytes;
        while let Some(first) = self.queued.front()
            && self.sent_bytes >= first.websocket_bytes().len()
        {
            self.sent_bytes -= first.websocket_bytes().len();
            self.queued.pop_front();
        }
    }

    /// The memory of an empty batch for at most so many entries.
    pub(super) fn into_buffer(self, max_entries: usize) -> VecDeque<Queued> {
        if self.queued.capacity() <= max_entries { self.queued } else { VecDeque::new() }
    }

    /// Keeps only the first frame. If it was sent in part, the client would take bytes of another frame for its rest.
    pub(super) fn keep_first(&mut self) {
        let Some(first) = self.queued.pop_front() else { return };
        for frame in first.frames() {
            let length = frame.websocket_bytes().len();
            if self.sent_bytes < length {
                self.queued = [frame.clone().into()].into();
                return;
            }
            self.sent_bytes -= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(texts: &[&str]) -> Batch {
        texts.iter().map(|text| Frame::text(text)).collect()
    }

    /// All bytes of a batch, written in pieces of `limit`.
    fn written(mut batch: Batch, limit: usize) -> Vec<u8> {
        let mut written = Vec::new();
        while !batch.is_empty() {
            let take = |slices: &[IoSlice<'_>]| {
                let piece: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(limit).collect();
                written.extend_from_slice(&piece);
                Ok(piece.len())
            };
            batch.write_with(take).unwrap();
        }
        written
    }

    #[test]
    fn frames_are_written_in_order_in_pieces_of_any_size() {
        let texts = ["one", "", "three", "four"];
        let frames: Vec<u8> = texts.iter().flat_map(|text| Frame::text(text).websocket_bytes().to_vec()).collect();
        for limit in 1..frames.len() + 2 {
            assert_eq!(written(batch(&texts), limit), frames, "{limit}");
        }
        let many = vec!["x"; 3 * MAX_SLICES];
        assert_eq!(written(batch(&many), usize::MAX).len(), many.len() * Frame::text("x").websocket_bytes().len());
    }

    #[test]
    fn a_write_that_fails_or_takes_nothing_leaves_the_batch_as_it_was() {
        let mut batch = batch(&["one"]);
        let blocked = batch.write_with(|_| Err(io::ErrorKind::WouldBlock.into())).unwrap_err();
        assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.write_with(|_| Ok(0)).unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert_eq!(batch, super::tests::batch(&["one"]));
    }

    #[test]
    fn the_first_frame_is_kept_with_what_was_sent_of_it() {
        let mut partial = batch(&["one", "two"]);
        partial.write_with(|_| Ok(1)).unwrap();
        partial.keep_first();
        assert_eq!(written(partial, 99), &Frame::text("one").websocket_bytes()[1..]);
    }
}
