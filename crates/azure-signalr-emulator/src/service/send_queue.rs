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
    /// The transport is to go without a word. A client that can resume may come back for what was queued.
    Severed,
    /// The connection is to go without a word, with what was queued for it.
    Abandoned,
    /// The client has said, by another way than its messages, that it goes.
    Departed,
    /// What is in the queue goes out first.
    Closed(Closure),
    /// The access token has expired, or is to be taken for expired.
    Expired,
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
    /// Only the connection's task waits here, and for one thing at a time, so one permit is all it takes.
    changed: Notify,
    capacity: Capacity,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Comes behind the next frame.
    held: Option<Frame>,
    end: Option<End>,
    frozen: bool,
    severed: bool,
}

impl Queue {
    /// The end comes even so.
    fn is_frozen(&self) -> bool {
        self.frozen && self.end().is_none()
    }

    fn end(&self) -> Option<End> {
        self.end.clone().or(self.severed.then_some(End::Severed))
    }

    fn put(&mut self, frame: Frame, capacity: Capacity) {
        if self.end.is_some() {
            return;
        }
        let bytes = self.bytes + frame.len();
        if self.frames.len() < capacity.messages && bytes <= capacity.bytes {
            self.frames.push_back(frame);
            self.bytes = bytes;
        } else {
            *self = Self { end: Some(End::Overflow), ..Self::default() };
        }
    }
}

impl Outbox {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { queue: Mutex::default(), changed: Notify::new(), capacity }
    }

    /// Puts a frame in, or ends the connection when there is no room. Nothing is put in after the end.
    pub(crate) fn push(&self, frame: Frame) {
        let mut queue = self.lock();
        queue.put(frame, self.capacity);
        if let Some(held) = queue.held.take() {
            queue.put(held, self.capacity);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Keeps a frame until the next one is put in. One that waits so already is put in now.
    pub(crate) fn push_after_next(&self, frame: Frame) {
        let before = self.lock().held.replace(frame);
        if let Some(before) = before {
            self.lock().put(before, self.capacity);
            self.changed.notify_one();
        }
    }

    /// Ends the connection once everything put in so far is sent.
    pub(crate) fn close(&self, closure: Closure) {
        self.lock().end.get_or_insert(End::Closed(closure));
        self.changed.notify_one();
    }

    /// Ends the connection as if its access token had expired, once everything put in so far is sent.
    pub(crate) fn expire(&self) {
        self.lock().end.get_or_insert(End::Expired);
        self.changed.notify_one();
    }

    /// Takes the transport away, and nothing else: what is put in waits for the next one.
    pub(crate) fn sever(&self) {
        self.lock().severed = true;
        self.changed.notify_one();
    }

    /// The transport is gone; there may be another.
    pub(super) fn mend(&self) {
        self.lock().severed = false;
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

    pub(crate) fn is_frozen(&self) -> bool {
        self.lock().is_frozen()
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
            let end = self.lock().end();
            if let Some(end @ (End::Overflow | End::Severed | End::Abandoned | End::Departed)) = end {
                return end;
            }
            self.changed.notified().await;
        }
    }

    /// Waits until nothing more will be put in, though something may still be in it.
    pub(crate) async fn ended(&self) -> End {
        loop {
            let end = self.lock().end();
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
        if queue.frames.is_empty() || queue.severed {
            return queue.end().map(Next::End);
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
    async fn a_frame_can_come_behind_the_next_one() {
        let outbox = Outbox::new(Capacity { messages: 9, bytes: 90 });
        outbox.push_after_next(frame("one"));
        outbox.push(frame("two"));
        outbox.push(frame("three"));
        assert_eq!(outbox.next().await, Next::Send([frame("two"), frame("one"), frame("three")].into()));
        outbox.push_after_next(frame("four"));
        outbox.push_after_next(frame("five"));
        assert_eq!(outbox.next().await, Next::Send([frame("four")].into()));
    }

    #[tokio::test]
    async fn what_is_severed_keeps_its_queue_for_the_next_transport() {
        let outbox = outbox();
        outbox.push(frame("kept"));
        outbox.sever();
        assert_eq!(outbox.next().await, Next::End(End::Severed));
        assert_eq!(outbox.lost().await, End::Severed);
        outbox.push(frame("more"));
        outbox.mend();
        assert_eq!(outbox.next().await, Next::Send([frame("kept"), frame("more")].into()));
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
