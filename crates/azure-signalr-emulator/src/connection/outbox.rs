//! What waits for one client: a bounded queue, and how it ends.
//!
//! Putting in never waits. A client that lets the queue run full loses its connection, since everything else would
//! make others wait for it or hide that messages are missing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::protocol::Frame;

/// How long the queue may grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// How a connection is closed from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closure {
    /// Shown to the client if its token lets it see such things.
    pub(crate) reason: Option<String>,
    pub(crate) allow_reconnect: bool,
}

/// Why nothing more will be put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The queue ran full; what was in it is gone.
    Overflow,
    /// The connection is to go without a word, with what was queued for it.
    Abandoned,
    /// The client has said, by another way than its messages, that it goes.
    Departed,
    /// What is in the queue goes out first.
    Closed(Closure),
}

/// What to do next for the client.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Send(VecDeque<Frame>),
    /// Nothing, neither sending nor reading, until the [thaw](Outbox::thawed).
    Freeze,
    End(End),
}

/// The queue of one connection: any number put in, its own task takes out.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Only the connection's task waits here, so one permit is all it takes.
    changed: Notify,
    capacity: Capacity,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    end: Option<End>,
    frozen: bool,
}

impl Queue {
    /// The end comes even so.
    fn is_frozen(&self) -> bool {
        self.frozen && self.end.is_none()
    }
}

impl Outbox {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { queue: Mutex::default(), changed: Notify::new(), capacity }
    }

    /// Puts a frame in, or ends the connection when there is no room. Nothing is put in after the end.
    pub(crate) fn push(&self, frame: Frame) {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return;
        }
        let bytes = queue.bytes + frame.len();
        if queue.frames.len() < self.capacity.messages && bytes <= self.capacity.bytes {
            queue.frames.push_back(frame);
            queue.bytes = bytes;
        } else {
            *queue = Queue { end: Some(End::Overflow), ..Queue::default() };
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the connection once everything put in so far is sent.
    pub(crate) fn close(&self, closure: Closure) {
        self.lock().end.get_or_insert(End::Closed(closure));
        self.changed.notify_one();
    }

    /// Ends the connection now, without a word.
    pub(crate) fn abandon(&self) {
        self.end_now(End::Abandoned);
    }

    /// Ends the connection now, as its client wishes.
    pub(crate) fn depart(&self) {
        self.end_now(End::Departed);
    }

    fn end_now(&self, end: End) {
        *self.lock() = Queue { end: Some(end), ..Queue::default() };
        self.changed.notify_one();
    }

    /// Holds everything back, or lets it go again.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.lock().frozen = frozen;
        self.changed.notify_one();
    }

    /// Frames that wait for the client.
    pub(crate) fn len(&self) -> usize {
        self.lock().frames.len()
    }

    /// Waits for something to do. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Waits until the connection is not to be served any more, sent or unsent: to be raced against a write, which may
    /// never end.
    pub(crate) async fn lost(&self) -> End {
        loop {
            let end = self.lock().end.clone();
            if let Some(end @ (End::Overflow | End::Abandoned | End::Departed)) = end {
                return end;
            }
            self.changed.notified().await;
        }
    }

    /// Waits until nothing more will be put in, though something may still be in it.
    pub(crate) async fn ended(&self) -> End {
        loop {
            let end = self.lock().end.clone();
            if let Some(end) = end {
                return end;
            }
            self.changed.notified().await;
        }
    }

    /// Waits while everything is held back.
    pub(crate) async fn thawed(&self) {
        while self.lock().is_frozen() {
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut queue = self.lock();
        if queue.is_frozen() {
            return Some(Next::Freeze);
        }
        if queue.frames.is_empty() {
            return queue.end.clone().map(Next::End);
        }
        queue.bytes = 0;
        Some(Next::Send(std::mem::take(&mut queue.frames)))
    }

    /// A panic elsewhere cannot leave the queue half changed, so poison says nothing.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(Capacity { messages: 2, bytes: 10 })
    }

    fn frame(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }

    fn closure() -> Closure {
        Closure { reason: None, allow_reconnect: true }
    }

    #[tokio::test]
    async fn frames_come_out_together_and_in_order() {
        let outbox = outbox();
        outbox.push(frame("one"));
        outbox.push(frame("two"));
        assert_eq!(outbox.next().await, Next::Send([frame("one"), frame("two")].into()));
    }

    #[tokio::test]
    async fn too_many_frames_end_the_connection() {
        let outbox = outbox();
        for text in ["1", "2", "3"] {
            outbox.push(frame(text));
        }
        assert_eq!(outbox.lost().await, End::Overflow);
        assert_eq!(outbox.next().await, Next::End(End::Overflow));
    }

    #[tokio::test]
    async fn too_many_bytes_end_the_connection() {
        let outbox = outbox();
        outbox.push(frame("01234567890"));
        assert_eq!(outbox.next().await, Next::End(End::Overflow));
    }

    #[tokio::test]
    async fn what_was_put_in_before_the_end_goes_out_first() {
        let outbox = outbox();
        outbox.push(frame("last"));
        outbox.close(closure());
        outbox.push(frame("late"));
        assert_eq!(outbox.next().await, Next::Send([frame("last")].into()));
        assert_eq!(outbox.next().await, Next::End(End::Closed(closure())));
    }

    #[tokio::test]
    async fn an_abandoned_connection_ends_at_once() {
        let outbox = outbox();
        outbox.push(frame("unsaid"));
        outbox.abandon();
        outbox.close(closure());
        assert_eq!(outbox.next().await, Next::End(End::Abandoned));
    }

    #[tokio::test]
    async fn what_is_frozen_waits_and_is_sent_after_the_thaw() {
        let outbox = outbox();
        outbox.freeze(true);
        outbox.push(frame("cold"));
        assert_eq!(outbox.next().await, Next::Freeze);
        outbox.freeze(false);
        outbox.thawed().await;
        assert_eq!(outbox.next().await, Next::Send([frame("cold")].into()));
    }
}
