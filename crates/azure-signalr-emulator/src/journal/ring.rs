//! The last of many: bounded in number and in bytes, the oldest go first.
//!
//! Numbers go on when entries go, so a reader can ask for what is newer than what it has, and sees by a gap that it came late.

use std::collections::VecDeque;

use serde::Serialize;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// An entry with its number, from 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) entry: T,
    #[serde(skip)]
    bytes: usize,
}

/// The last entries.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    entries: VecDeque<Numbered<T>>,
    bytes: usize,
    last: u64,
    limits: Limits,
}

impl<T> Ring<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, last: 0, limits }
    }

    /// Adds an entry whose texts have so many bytes. What is larger than the ring is not kept, nor anything before it.
    pub(crate) fn push(&mut self, entry: T, texts: usize) {
        let bytes = size_of::<Numbered<T>>() + texts;
        self.last += 1;
        self.entries.push_back(Numbered { number: self.last, entry, bytes });
        self.bytes += bytes;
        while self.entries.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The entries newer than the one of that number, oldest first.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = &Numbered<T>> {
        let start = self.entries.partition_point(|entry| entry.number <= number);
        self.entries.range(start..)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers<T>(ring: &Ring<T>, after: u64) -> Vec<u64> {
        ring.after(after).map(|entry| entry.number).collect()
    }

    #[test]
    fn the_oldest_go_first_and_numbers_go_on() {
        let mut ring = Ring::new(Limits { entries: 2, bytes: 1_000 });
        for text in ["a", "b", "c"] {
            ring.push(text, 1);
        }
        assert_eq!(numbers(&ring, 0), [2, 3]);
        assert_eq!(numbers(&ring, 2), [3]);
        assert_eq!(numbers(&ring, 9), Vec::<u64>::new());
        ring.clear();
        ring.push("d", 1);
        assert_eq!(numbers(&ring, 0), [4]);
    }

    #[test]
    fn what_is_larger_than_the_ring_leaves_it_empty() {
        let mut ring = Ring::new(Limits { entries: 9, bytes: 200 });
        ring.push((), 10);
        ring.push((), 1_000);
        assert_eq!((numbers(&ring, 0), ring.bytes), (vec![], 0));
        ring.push((), 10);
        assert_eq!(numbers(&ring, 0), [3]);
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_passed_and_the_newest_that_fit_are_there(sizes in prop::collection::vec(0..400usize, 0..60)) {
            let limits = Limits { entries: 5, bytes: 900 };
            let mut ring = Ring::new(limits);
            for (index, size) in sizes.iter().enumerate() {
                ring.push((), *size);
                prop_assert!(ring.entries.len() <= limits.entries && ring.bytes <= limits.bytes);
                prop_assert_eq!(ring.bytes, ring.entries.iter().map(|entry| entry.bytes).sum::<usize>());
                let kept = numbers(&ring, 0);
                prop_assert_eq!(kept.last().copied(), Some(index as u64 + 1));
                prop_assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
        }
    }
}
