//! The bounded queue of frames for one client, and why it stops.
//!
//! Adding a frame never waits. A client whose queue is full loses its connection, because the alternatives delay other clients
//! or lose messages silently.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::protocol::Frame;

/// The limits of a send queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// How the service closes a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseOptions {
    /// Shown to clients whose token allows detailed errors.
    pub(crate) reason: Option<String>,
    pub(crate) allow_reconnect: bool,
}

/// Why a queue accepts no more frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The queue was full; its frames are discarded.
    Overflow,
    /// The transport is dropped without a Close message. A client with stateful reconnect may resume.
    TransportDropped,
    /// The connection ends without a Close message; queued frames are discarded.
    Aborted,
    /// The client has ended the connection with a DELETE request.
    Deleted,
    /// The service closes the connection after the queued frames are sent.
    Closed(CloseOptions),
    /// The access token has expired, or is treated as expired.
    TokenExpired,
}

/// What to do next for the client.
#[derive(Debug, PartialEq)]
pub(crate) enum NextSend {
    Frames(VecDeque<Frame>),
    /// Neither send nor read, until [`SendQueue::unfrozen`] returns.
    Frozen,
    Stop(StopReason),
}

/// The send queue of one connection. Any task adds frames, the task of the connection takes them.
#[derive(Debug)]
pub(crate) struct SendQueue {
    queue: Mutex<Queue>,
    /// Only the task of the connection waits, for one thing at a time, so one permit suffices.
    changed: Notify,
    capacity: Capacity,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Added after the next frame.
    delayed: Option<Frame>,
    stopped: Option<StopReason>,
    frozen: bool,
    transport_dropped: bool,
}

impl Queue {
    /// A stop takes effect on a frozen queue, too.
    fn is_frozen(&self) -> bool {
        self.frozen && self.stop_reason().is_none()
    }

    fn stop_reason(&self) -> Option<StopReason> {
        self.stopped.clone().or(self.transport_dropped.then_some(StopReason::TransportDropped))
    }

    fn push(&mut self, frame: Frame, capacity: Capacity) {
        if self.stopped.is_some() {
            return;
        }
        let bytes = self.bytes + frame.len();
        if self.frames.len() < capacity.messages && bytes <= capacity.bytes {
            self.frames.push_back(frame);
            self.bytes = bytes;
        } else {
            *self = Self { stopped: Some(StopReason::Overflow), ..Self::default() };
        }
    }
}

impl SendQueue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { queue: Mutex::default(), changed: Notify::new(), capacity }
    }

    /// Adds a frame, or ends the connection if the queue is full. Ignored after a stop.
    pub(crate) fn push(&self, frame: Frame) {
        let mut queue = self.lock();
        queue.push(frame, self.capacity);
        if let Some(delayed) = queue.delayed.take() {
            queue.push(delayed, self.capacity);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Adds a frame after the next one. A frame that already waits is added now.
    pub(crate) fn push_after_next(&self, frame: Frame) {
        let before = self.lock().delayed.replace(frame);
        if let Some(before) = before {
            self.lock().push(before, self.capacity);
            self.changed.notify_one();
        }
    }

    /// Closes the connection after all queued frames are sent. Only the first call has an effect.
    pub(crate) fn close(&self, options: CloseOptions) {
        self.lock().stopped.get_or_insert(StopReason::Closed(options));
        self.changed.notify_one();
    }

    /// Ends the connection as if its access token had expired, after all queued frames are sent.
    pub(crate) fn expire(&self) {
        self.lock().stopped.get_or_insert(StopReason::TokenExpired);
        self.changed.notify_one();
    }

    /// Drops the transport without a Close message. Queued and later frames wait for a new transport.
    pub(crate) fn drop_transport(&self) {
        self.lock().transport_dropped = true;
        self.changed.notify_one();
    }

    /// Allows sending over a new transport.
    pub(crate) fn transport_is_gone(&self) {
        self.lock().transport_dropped = false;
    }

    /// Ends the connection now, without a Close message.
    pub(crate) fn abort(&self) {
        self.stop_now(StopReason::Aborted);
    }

    /// Ends the connection now, on a DELETE request of its client.
    pub(crate) fn delete(&self) {
        self.stop_now(StopReason::Deleted);
    }

    fn stop_now(&self, reason: StopReason) {
        *self.lock() = Queue { stopped: Some(reason), ..Queue::default() };
        self.changed.notify_one();
    }

    /// Stops or resumes reading and writing.
    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.lock().frozen = frozen;
        self.changed.notify_one();
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.lock().is_frozen()
    }

    /// The number of queued frames.
    pub(crate) fn len(&self) -> usize {
        self.lock().frames.len()
    }

    /// Waits for frames or a stop. Cancel safe.
    pub(crate) async fn next(&self) -> NextSend {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Waits for a stop that discards or delays queued frames. Cancel safe. To be raced against a write, which may not end.
    pub(crate) async fn stopped_now(&self) -> StopReason {
        self.stopped_by(|reason| !matches!(reason, StopReason::Closed(_) | StopReason::TokenExpired)).await
    }

    /// Waits for any stop; frames may still be queued. Cancel safe.
    pub(crate) async fn stopped(&self) -> StopReason {
        self.stopped_by(|_| true).await
    }

    async fn stopped_by(&self, matches: impl Fn(&StopReason) -> bool) -> StopReason {
        loop {
            let reason = self.lock().stop_reason();
            if let Some(reason) = reason.filter(&matches) {
                return reason;
            }
            self.changed.notified().await;
        }
    }

    /// Waits while the queue is frozen.
    pub(crate) async fn unfrozen(&self) {
        while self.is_frozen() {
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<NextSend> {
        let mut queue = self.lock();
        if queue.is_frozen() {
            return Some(NextSend::Frozen);
        }
        if queue.frames.is_empty() || queue.transport_dropped {
            return queue.stop_reason().map(NextSend::Stop);
        }
        queue.bytes = 0;
        Some(NextSend::Frames(std::mem::take(&mut queue.frames)))
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> SendQueue {
        SendQueue::new(Capacity { messages: 2, bytes: 10 })
    }

    fn frame(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }

    fn close_options() -> CloseOptions {
        CloseOptions { reason: None, allow_reconnect: true }
    }

    #[tokio::test]
    async fn frames_come_out_together_and_in_order() {
        let queue = queue();
        queue.push(frame("one"));
        queue.push(frame("two"));
        assert_eq!(queue.next().await, NextSend::Frames([frame("one"), frame("two")].into()));
    }

    #[tokio::test]
    async fn too_many_frames_end_the_connection() {
        let queue = queue();
        for text in ["1", "2", "3"] {
            queue.push(frame(text));
        }
        assert_eq!(queue.stopped_now().await, StopReason::Overflow);
        assert_eq!(queue.next().await, NextSend::Stop(StopReason::Overflow));
    }

    #[tokio::test]
    async fn too_many_bytes_end_the_connection() {
        let queue = queue();
        queue.push(frame("01234567890"));
        assert_eq!(queue.next().await, NextSend::Stop(StopReason::Overflow));
    }

    #[tokio::test]
    async fn frames_queued_before_a_close_are_sent_first() {
        let queue = queue();
        queue.push(frame("last"));
        queue.close(close_options());
        queue.push(frame("late"));
        assert_eq!(queue.next().await, NextSend::Frames([frame("last")].into()));
        assert_eq!(queue.next().await, NextSend::Stop(StopReason::Closed(close_options())));
    }

    #[tokio::test]
    async fn an_aborted_connection_ends_at_once() {
        let queue = queue();
        queue.push(frame("unsaid"));
        queue.abort();
        queue.close(close_options());
        assert_eq!(queue.next().await, NextSend::Stop(StopReason::Aborted));
    }

    #[tokio::test]
    async fn a_frame_can_be_sent_after_the_next_one() {
        let queue = SendQueue::new(Capacity { messages: 9, bytes: 90 });
        queue.push_after_next(frame("one"));
        queue.push(frame("two"));
        queue.push(frame("three"));
        assert_eq!(queue.next().await, NextSend::Frames([frame("two"), frame("one"), frame("three")].into()));
        queue.push_after_next(frame("four"));
        queue.push_after_next(frame("five"));
        assert_eq!(queue.next().await, NextSend::Frames([frame("four")].into()));
    }

    #[tokio::test]
    async fn a_dropped_transport_leaves_the_queue_for_the_next_one() {
        let queue = queue();
        queue.push(frame("kept"));
        queue.drop_transport();
        assert_eq!(queue.next().await, NextSend::Stop(StopReason::TransportDropped));
        assert_eq!(queue.stopped_now().await, StopReason::TransportDropped);
        queue.push(frame("more"));
        queue.transport_is_gone();
        assert_eq!(queue.next().await, NextSend::Frames([frame("kept"), frame("more")].into()));
    }

    #[tokio::test]
    async fn frames_of_a_frozen_queue_are_sent_after_it_is_unfrozen() {
        let queue = queue();
        queue.set_frozen(true);
        queue.push(frame("cold"));
        assert_eq!(queue.next().await, NextSend::Frozen);
        queue.set_frozen(false);
        queue.unfrozen().await;
        assert_eq!(queue.next().await, NextSend::Frames([frame("cold")].into()));
    }
}
