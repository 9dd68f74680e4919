//! The service's half of stateful reconnect: what was sent and not yet acknowledged, and how much was received. Pure.
//!
//! Only messages that carry something are counted, from 1 on; pings, Close, acknowledgements and sequences are not. The
//! sequence a side sends after a reconnect is the number of the first message it is going to send again, not of the next.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::Frame;

/// How long an acknowledgement waits for more to acknowledge.
const ACK_DELAY: Duration = Duration::from_secs(1);

/// The client goes on with a message that was never announced: some are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap;

/// The books of one connection that may be resumed.
#[derive(Debug)]
pub(crate) struct Ledger {
    unacknowledged: VecDeque<Frame>,
    bytes: usize,
    capacity: usize,
    /// The number of the first of them, or of the next message if there are none.
    first: u64,
    /// The number of the message that comes next, as the client counts.
    coming: u64,
    /// The number of the last message that was taken.
    taken: u64,
    acknowledge_at: Option<Instant>,
    /// After a reconnect nothing counts until the client has said where it goes on.
    lost_count: bool,
}

impl Ledger {
    /// `capacity` in bytes is how much may wait for acknowledgement; beyond it nothing more should be sent.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            unacknowledged: VecDeque::new(),
            bytes: 0,
            capacity,
            first: 1,
            coming: 1,
            taken: 0,
            acknowledge_at: None,
            lost_count: false,
        }
    }

    /// Whether more may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.capacity
    }

    /// A message that counts is being sent, as one frame.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        self.bytes += frame.len();
        self.unacknowledged.push_back(frame.clone());
    }

    /// The client has everything up to this number.
    pub(crate) fn acknowledged(&mut self, number: u64) {
        while self.first <= number
            && let Some(frame) = self.unacknowledged.pop_front()
        {
            self.bytes -= frame.len();
            self.first += 1;
        }
    }

    /// Whether a message that does not count is to be heeded.
    pub(crate) fn hears(&self) -> bool {
        !self.lost_count
    }

    /// A message that counts came. False when it came before, or is not to be heeded.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.lost_count {
            return false;
        }
        let number = self.coming;
        self.coming += 1;
        self.acknowledge_at.get_or_insert(now + ACK_DELAY);
        if number <= self.taken {
            return false;
        }
        self.taken = number;
        true
    }

    /// The client goes on with this number.
    pub(crate) fn goes_on_with(&mut self, number: u64) -> Result<(), Gap> {
        if number > self.taken + 1 {
            return Err(Gap);
        }
        self.lost_count = false;
        self.coming = number;
        Ok(())
    }

    /// When an acknowledgement is due.
    pub(crate) fn acknowledge_at(&self) -> Option<Instant> {
        self.acknowledge_at
    }

    /// The number to acknowledge, if that is due.
    pub(crate) fn acknowledge(&mut self, now: Instant) -> Option<u64> {
        self.acknowledge_at.take_if(|due| *due <= now).map(|_| self.taken)
    }

    /// The client is back on another socket: the number to go on with, and what it may not have got.
    pub(crate) fn resume(&mut self) -> (u64, impl Iterator<Item = Frame> + '_) {
        self.lost_count = true;
        (self.first, self.unacknowledged.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }

    fn resumed(ledger: &mut Ledger) -> (u64, Vec<Frame>) {
        let (number, frames) = ledger.resume();
        (number, frames.collect())
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_from_its_own_number_on() {
        let mut ledger = Ledger::new(100);
        for text in ["one", "two", "three"] {
            ledger.sent(&frame(text));
        }
        ledger.acknowledged(1);
        assert_eq!(resumed(&mut ledger), (2, vec![frame("two"), frame("three")]));
        ledger.acknowledged(3);
        assert_eq!(resumed(&mut ledger), (4, vec![]));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_changes_nothing_more() {
        let mut ledger = Ledger::new(100);
        ledger.sent(&frame("one"));
        ledger.acknowledged(u64::MAX);
        ledger.sent(&frame("two"));
        assert_eq!(resumed(&mut ledger), (2, vec![frame("two")]));
    }

    #[test]
    fn a_message_that_comes_again_is_not_taken_again() {
        let (mut ledger, now) = (Ledger::new(100), Instant::now());
        assert!(ledger.take(now) && ledger.take(now));
        let _ = ledger.resume();
        assert!(!ledger.hears());
        assert!(!ledger.take(now), "nothing counts before the sequence");
        assert_eq!(ledger.goes_on_with(2), Ok(()));
        assert!(!ledger.take(now), "the second, again");
        assert!(ledger.take(now), "the third");
        assert_eq!(ledger.acknowledge(now + ACK_DELAY), Some(3));
    }

    #[test]
    fn a_client_that_skips_a_message_is_found_out() {
        let (mut ledger, now) = (Ledger::new(100), Instant::now());
        ledger.take(now);
        assert_eq!(ledger.goes_on_with(3), Err(Gap));
        assert_eq!(ledger.goes_on_with(2), Ok(()));
    }

    #[test]
    fn acknowledgements_wait_a_second_for_company() {
        let (mut ledger, now) = (Ledger::new(100), Instant::now());
        assert_eq!(ledger.acknowledge(now), None);
        ledger.take(now);
        ledger.take(now + ACK_DELAY / 2);
        assert_eq!(ledger.acknowledge_at(), Some(now + ACK_DELAY));
        assert_eq!(ledger.acknowledge(now), None);
        assert_eq!(ledger.acknowledge(now + ACK_DELAY), Some(2));
        assert_eq!(ledger.acknowledge_at(), None);
    }

    #[test]
    fn there_is_room_until_the_capacity_waits_for_acknowledgement() {
        let mut ledger = Ledger::new(3);
        assert!(ledger.has_room());
        ledger.sent(&frame("one"));
        assert!(!ledger.has_room());
        ledger.acknowledged(1);
        assert!(ledger.has_room());
    }
}
