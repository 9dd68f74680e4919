//! The bounded queue of frames for one client: any task adds frames, the writer or the task of the connection sends them.
//!
//! Adding a frame never waits. A client whose queue is full loses its connection, because the alternatives delay other clients
//! or lose messages silently.

mod batch;
#[cfg(test)]
mod model_tests;
mod queued;
mod replay_buffer;
mod state;
mod stop_reason;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use http_server::UpgradedStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::protocol::Frame;
use state::{SendState, Wake};
use writer::{Flush, Writer};

pub(crate) use batch::Batch;
pub(crate) use queued::Queued;
pub(crate) use state::{Capacity, NextSend, Unsequenced};
pub(crate) use stop_reason::{CloseOptions, StopReason};

/// The sockets to which a [`Writer`] sends.
type Socket = Arc<UpgradedStream>;

/// The send queue of one connection.
pub(crate) struct SendQueue {
    state: Mutex<SendState<Socket>>,
    /// Only the task of the connection waits, for one thing at a time, so one permit suffices.
    changed: Notify,
    writer: Arc<Writer<SendQueue>>,
}

impl fmt::Debug for SendQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// For all tasks.
impl SendQueue {
    /// Adds messages, or ends the connection if the queue is full. Ignored after a stop.
    pub(crate) fn push(self: &Arc<Self>, queued: impl Into<Queued>) {
        self.update(|state| state.push(queued.into()));
    }

    /// Adds a message after the next one. One that already waits is added now.
    pub(crate) fn push_after_next(self: &Arc<Self>, queued: Queued) {
        self.update(|state| state.push_after_next(queued));
    }

    /// Adds a frame that is sent before the messages.
    pub(crate) fn push_unsequenced(self: &Arc<Self>, kind: Unsequenced, frame: Frame) {
        self.update(|state| state.push_unsequenced(kind, frame));
    }

    /// Closes the connection after all queued frames are sent. Only the first stop has an effect.
    pub(crate) fn close(self: &Arc<Self>, options: CloseOptions) {
        self.update(|state| state.stop(StopReason::Closed(options)));
    }

    /// Ends the connection as if its access token had expired, after all queued frames are sent.
    pub(crate) fn expire(self: &Arc<Self>) {
        self.update(|state| state.stop(StopReason::TokenExpired));
    }

    /// Drops the transport without a Close message. Queued and later frames wait for a new transport.
    pub(crate) fn drop_transport(self: &Arc<Self>) {
        self.update(SendState::drop_transport);
    }

    /// Ends the connection now, without a Close message.
    pub(crate) fn abort(self: &Arc<Self>) {
        self.update(|state| state.stop_now(StopReason::Aborted));
    }

    /// Ends the connection now, on a DELETE request of its client.
    pub(crate) fn delete(self: &Arc<Self>) {
        self.update(|state| state.stop_now(StopReason::Deleted));
    }

    /// Stops or resumes reading and writing.
    pub(crate) fn set_frozen(self: &Arc<Self>, is_frozen: bool) {
        self.update(|state| state.set_frozen(is_frozen));
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.lock().is_frozen()
    }

    /// The number of queued messages.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// For the task of the connection.
impl SendQueue {
    /// Waits for something to do. Frames are returned only if `may_send`. Cancel safe.
    pub(crate) async fn next(&self, may_send: bool) -> NextSend {
        self.wait_for(|state| state.next(may_send)).await
    }

    /// The frames of [`next`](Self::next) are sent.
    pub(crate) fn sent(self: &Arc<Self>, now: Instant) {
        self.update(|state| state.sent(now));
    }

    /// When messages were last sent.
    pub(crate) fn last_sent(&self) -> Instant {
        self.lock().last_sent()
    }

    /// A stop after which nothing more is sent, at least over this transport.
    pub(crate) fn immediate_stop(&self) -> Option<StopReason> {
        self.lock().immediate_stop().cloned()
    }

    /// Waits for a stop that discards or delays queued frames. Cancel safe. To be raced against a write, which may not end.
    pub(crate) async fn stopped_now(&self) -> StopReason {
        self.wait_for(|state| state.immediate_stop().cloned()).await
    }

    /// Waits for any stop; frames may still be queued. Cancel safe.
    pub(crate) async fn stopped(&self) -> StopReason {
        self.wait_for(|state| state.stop_reason().cloned()).await
    }

    /// Waits while the queue is frozen.
    pub(crate) async fn unfrozen(&self) {
        self.wait_for(|state| (!state.is_frozen()).then_some(())).await;
    }

    /// Makes the task send if the queue is half full, so that it reads no more before. Then [`next`](Self::next) returns frames. The task
    /// asks before it reads, since what it reads may add to the queue.
    pub(crate) fn take_over_if_half_full(&self) -> bool {
        self.lock().take_over_if_half_full()
    }

    /// Uses a transport, by which `first` is sent before all else. With a socket, the writer sends.
    pub(crate) fn attach(self: &Arc<Self>, socket: Option<Arc<UpgradedStream>>, first: Frame) {
        self.update(|state| state.attach(socket, first));
    }

    /// Waits until the transport is not used any more. Messages wait for another one.
    pub(crate) async fn detach(&self) {
        self.take_over().await;
        self.lock().detach();
    }

    /// Waits until the writer does not use the transport any more, which is closed next. Returns what must be sent before the
    /// last frames.
    pub(crate) async fn end(&self) -> Batch {
        self.take_over().await;
        self.lock().end()
    }

    /// The writer does not wait for the client, so this takes no longer than one write.
    async fn take_over(&self) {
        self.lock().take_over();
        self.wait_for(|state| (!state.is_writing()).then_some(())).await;
    }

    /// Keeps sent messages until they are acknowledged; from `capacity` in bytes on, no more are sent.
    pub(crate) fn enable_replay(&self, capacity: usize) {
        self.lock().enable_replay(capacity);
    }

    /// The client has received all messages up to this sequence id.
    pub(crate) fn acknowledge(self: &Arc<Self>, number: u64) {
        self.update(|state| state.acknowledge(number));
    }

    /// Begins to send all unacknowledged messages again. Returns the sequence id of the first one.
    pub(crate) fn rewind(&self) -> u64 {
        self.lock().rewind()
    }

    async fn wait_for<R>(&self, mut ready: impl FnMut(&mut SendState<Socket>) -> Option<R>) -> R {
        loop {
            if let Some(result) = ready(&mut self.lock()) {
                return result;
            }
            self.changed.notified().await;
        }
    }

    fn update(self: &Arc<Self>, change: impl FnOnce(&mut SendState<Socket>) -> Wake) {
        let wake = change(&mut self.lock());
        match wake {
            Wake::None => {}
            Wake::Connection => self.changed.notify_one(),
            Wake::Writer => self.writer.schedule(self.clone()),
        }
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, SendState<Socket>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the writer.
impl Flush for SendQueue {
    /// An error leaves the rest to the task of the connection, whose own write fails then.
    fn flush(self: Arc<Self>, now: Instant) {
        let Some((socket, mut batch)) = self.lock().begin_write() else { return };
        while !batch.is_empty() && batch.write_with(|slices| socket.try_write(slices)).is_ok() {}
        self.update(|state| state.end_write(batch, now));
    }
}

/// The writers of a service: one for each core.
#[derive(Debug)]
pub(crate) struct Writers {
    writers: Box<[Arc<Writer<SendQueue>>]>,
    next: AtomicUsize,
    pass_ended: Arc<Notify>,
}

impl Writers {
    pub(crate) fn new() -> Self {
        let (count, pass_ended) = (available_parallelism().map_or(1, usize::from), Arc::<Notify>::default());
        let writers = (0..count).map(|_| Arc::new(Writer::new(pass_ended.clone()))).collect();
        Self { writers, next: AtomicUsize::new(0), pass_ended }
    }

    /// Returns at once if a writer is idle. Otherwise waits until one begins or ends a pass.
    pub(crate) async fn idle_or_pass_ended(&self) {
        let pass_ended = self.pass_ended.notified();
        if self.writers.iter().all(|writer| writer.is_running()) {
            pass_ended.await;
        }
    }

    /// A queue whose frames are sent by the next of the writers, in turn.
    pub(crate) fn queue(&self, capacity: Capacity) -> Arc<SendQueue> {
        let writer = self.writers[self.next.fetch_add(1, Relaxed) % self.writers.len()].clone();
        let state = Mutex::new(SendState::new(capacity, Instant::now()));
        Arc::new(SendQueue { state, changed: Notify::new(), writer })
    }
}
