//! The sent messages of a connection with stateful reconnect that the client has not acknowledged. Pure state.
//!
//! Invocations, stream items and completions have sequence ids, from 1; pings, Close, Ack and Sequence have none. After a
//! reconnect the service sends the id of the first message that it sends again, then these messages.

use std::collections::VecDeque;

use crate::protocol::Frame;

/// The send side of `MessageBuffer` of ASP.NET Core.
#[derive(Debug)]
pub(super) struct ReplayBuffer {
    unacknowledged: VecDeque<Frame>,
    bytes: usize,
    capacity: usize,
    /// How many of the unacknowledged messages were given to the current transport.
    sent: usize,
    /// The sequence id of the first message in the buffer, or of the next message.
    first: u64,
    /// The client has received all messages up to this sequence id.
    acknowledged: u64,
}

impl ReplayBuffer {
    /// `capacity` is the size in bytes of unacknowledged messages from which on no more are sent.
    pub(super) fn new(capacity: usize) -> Self {
        Self { unacknowledged: VecDeque::new(), bytes: 0, capacity, sent: 0, first: 1, acknowledged: 0 }
    }

    /// Whether more messages may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.capacity
    }

    /// Adds a message that is given to the current transport, one in a frame. All earlier ones were given to it.
    pub(super) fn add(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.unacknowledged.push_back(frame);
        self.sent += 1;
    }

    /// The client has received the messages up to this sequence id.
    pub(super) fn acknowledge(&mut self, number: u64) {
        let last = self.first + self.unacknowledged.len() as u64 - 1;
        self.acknowledged = self.acknowledged.max(number.min(last));
        self.remove_acknowledged();
    }

    /// Keeps those that must be sent again: the client counts them from the sequence id that it was given.
    fn remove_acknowledged(&mut self) {
        while self.sent > 0
            && self.first <= self.acknowledged
            && let Some(frame) = self.unacknowledged.pop_front()
        {
            self.bytes -= frame.len();
            self.sent -= 1;
            self.first += 1;
        }
    }

    /// Begins to send all messages again, over another transport. Returns the sequence id of the first one.
    pub(super) fn rewind(&mut self) -> u64 {
        self.sent = 0;
        self.first
    }

    /// Whether a message must be sent again.
    pub(super) fn must_repeat(&self) -> bool {
        self.sent < self.unacknowledged.len()
    }

    /// The next message that must be sent again, which is given to the current transport.
    pub(super) fn repeat(&mut self) -> Option<Frame> {
        let frame = self.unacknowledged.get(self.sent)?.clone();
        self.sent += 1;
        self.remove_acknowledged();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(buffer: &mut ReplayBuffer) -> (u64, Vec<Frame>) {
        let first = buffer.rewind();
        (first, std::iter::from_fn(|| buffer.repeat()).collect())
    }

    #[test]
    fn unacknowledged_messages_are_sent_again_with_their_sequence_ids() {
        let mut buffer = ReplayBuffer::new(100);
        let frames = ["one", "two", "three"].map(Frame::text);
        frames.iter().cloned().for_each(|frame| buffer.add(frame));
        buffer.acknowledge(1);
        assert!(!buffer.must_repeat());
        assert_eq!(repeated(&mut buffer), (2, frames[1..].to_vec()));
        buffer.acknowledge(3);
        assert_eq!(repeated(&mut buffer), (4, vec![]));
    }

    #[test]
    fn messages_acknowledged_while_they_are_sent_again_keep_the_count_of_the_client() {
        let mut buffer = ReplayBuffer::new(100);
        let frames = ["one", "two", "three"].map(Frame::text);
        frames.iter().cloned().for_each(|frame| buffer.add(frame));
        assert_eq!((buffer.rewind(), buffer.repeat()), (1, Some(frames[0].clone())));
        buffer.acknowledge(2);
        buffer.acknowledge(1);
        let rest: Vec<_> = std::iter::from_fn(|| buffer.repeat()).collect();
        assert_eq!(rest, frames[1..]);
        assert_eq!(repeated(&mut buffer), (3, frames[2..].to_vec()));
    }

    #[test]
    fn an_acknowledgement_of_unsent_messages_has_no_further_effect() {
        let mut buffer = ReplayBuffer::new(100);
        buffer.add(Frame::text("one"));
        buffer.acknowledge(u64::MAX);
        buffer.add(Frame::text("two"));
        buffer.acknowledge(0);
        assert_eq!(repeated(&mut buffer), (2, vec![Frame::text("two")]));
    }

    #[test]
    fn there_is_room_until_the_capacity_is_unacknowledged() {
        let mut buffer = ReplayBuffer::new(3);
        assert!(buffer.has_room());
        buffer.add(Frame::text("one"));
        assert!(!buffer.has_room());
        buffer.acknowledge(1);
        assert!(buffer.has_room());
    }
}
