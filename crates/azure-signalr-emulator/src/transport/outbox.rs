//! What waits for one client: a bounded queue, and how it ends.
//!
//! Putting in never waits. A client that lets the queue run full loses its connection, since everything else would
//! make others wait for it or hide that messages are missing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

/// How long the queue may grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// Why nothing more will be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The queue ran full; what was in it is gone.
    Overflow,
    /// The service is closing; what is in the queue goes out first.
    Closing,
}

/// What to do next for the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Send(VecDeque<Utf8Bytes>),
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
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    end: Option<End>,
}

impl Outbox {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { queue: Mutex::default(), changed: Notify::new(), capacity }
    }

    /// Puts a frame in, or ends the connection when there is no room. Nothing is put in after the end.
    pub(crate) fn push(&self, frame: &Utf8Bytes) {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return;
        }
        let bytes = queue.bytes + frame.as_str().len();
        if queue.frames.len() < self.capacity.messages && bytes <= self.capacity.bytes {
            queue.frames.push_back(frame.clone());
            queue.bytes = bytes;
        } else {
            *queue = Queue { end: Some(End::Overflow), ..Queue::default() };
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the connection once everything put in so far is sent.
    pub(crate) fn close(&self) {
        self.lock().end.get_or_insert(End::Closing);
        self.changed.notify_one();
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

    /// Waits until the queue has run full: to be raced against a write, which may never end.
    pub(crate) async fn overflow(&self) {
        while self.lock().end != Some(End::Overflow) {
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut queue = self.lock();
        if queue.frames.is_empty() {
            return queue.end.map(Next::End);
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

    #[tokio::test]
    async fn frames_come_out_together_and_in_order() {
        let outbox = outbox();
        outbox.push(&"one".into());
        outbox.push(&"two".into());
        assert_eq!(outbox.next().await, Next::Send(["one".into(), "two".into()].into()));
    }

    #[tokio::test]
    async fn too_many_frames_end_the_connection() {
        let outbox = outbox();
        for frame in ["1", "2", "3"] {
            outbox.push(&frame.into());
        }
        outbox.overflow().await;
        assert_eq!(outbox.next().await, Next::End(End::Overflow));
    }

    #[tokio::test]
    async fn too_many_bytes_end_the_connection() {
        let outbox = outbox();
        outbox.push(&"01234567890".into());
        assert_eq!(outbox.next().await, Next::End(End::Overflow));
    }

    #[tokio::test]
    async fn what_was_put_in_before_the_end_goes_out_first() {
        let outbox = outbox();
        outbox.push(&"last".into());
        outbox.close();
        outbox.push(&"late".into());
        assert_eq!(outbox.next().await, Next::Send(["last".into()].into()));
        assert_eq!(outbox.next().await, Next::End(End::Closing));
    }
}
