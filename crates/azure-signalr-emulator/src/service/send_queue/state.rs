//! [`SendState`]: what is queued for one client, and who sends it. Pure state: no I/O, no clock, no locks.
//!
//! Frames are sent by one of two tasks at a time. The *writer* serves the sockets of many connections and never waits for a client. The
//! task of the *connection* sends everything else: to a transport without a socket, to a socket that is full, and before the end.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::batch::Batch;
use super::queued::Queued;
use super::replay_buffer::ReplayBuffer;
use super::stop_reason::StopReason;
use crate::protocol::Frame;

/// From this size on no frame is added to a batch.
const MAX_BATCH_BYTES: usize = 256 << 10;

/// For how many entries an empty queue keeps its memory.
const MAX_IDLE_ENTRIES: usize = 32;

/// The limits of a send queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// What the task of the connection has to do.
#[derive(Debug, PartialEq)]
pub(crate) enum NextSend {
    /// Send these frames, and then call [`sent`](super::SendQueue::sent).
    Frames(Batch),
    /// Neither send nor read, until [`unfrozen`](super::SendQueue::unfrozen) returns.
    Frozen,
    Stop(StopReason),
}

/// Which task sends the queued frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendingTask {
    /// The task of the connection.
    Connection,
    /// The writer, as soon as it has been scheduled.
    Writer,
}

/// The task that has something to do after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Wake {
    None,
    Connection,
    /// The queue is added to the list of the writer, which then calls [`SendState::begin_write`] once.
    Writer,
}

/// A frame without a sequence id. Sent before the messages, in the order of the variants; one that is not sent yet is replaced by a later one
/// of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsequenced {
    /// What a transport begins with: the handshake response, or the first sequence id.
    First,
    Ack,
    /// The response to a WebSocket ping. One for the last ping is enough (RFC 6455, section 5.5.3).
    Pong,
    Ping,
}

impl Unsequenced {
    const COUNT: usize = Self::Ping as usize + 1;
}

/// The queue of one connection. `S` is a handle of its socket.
#[derive(Debug)]
pub(super) struct SendState<S> {
    capacity: Capacity,
    unsent: VecDeque<Queued>,
    /// The number and the length of the unsent frames.
    messages: usize,
    bytes: usize,
    /// Added after the next frame.
    delayed: Option<Queued>,
    unsequenced: [Option<Frame>; Unsequenced::COUNT],
    /// Present if the client uses stateful reconnect. Its messages come before the unsent ones.
    replay: Option<Box<ReplayBuffer>>,
    /// What the socket did not take from the writer.
    unfinished: Batch,
    sending_task: SendingTask,
    /// Whether the queue is in the list of the writer.
    is_scheduled: bool,
    /// Whether the writer writes at this moment.
    is_writing: bool,
    /// Whether the connection sends frames that it has taken.
    is_sending: bool,
    socket: Option<S>,
    /// Whether the client has no transport, but may get another.
    is_away: bool,
    /// Why the connection ends: at once, or after the queued frames are sent. The queue takes no more.
    requested_stop: Option<StopReason>,
    is_frozen: bool,
    is_transport_dropped: bool,
    /// Whether the frames that were taken last are a pong alone: a client waits for messages of the hub protocol.
    took_pong: bool,
    last_sent: Instant,
}

/// Changes by any task.
impl<S: Clone> SendState<S> {
    pub(super) fn new(capacity: Capacity, now: Instant) -> Self {
        Self {
            capacity,
            unsent: VecDeque::new(),
            messages: 0,
            bytes: 0,
            delayed: None,
            unsequenced: Default::default(),
            replay: None,
            unfinished: Batch::default(),
            sending_task: SendingTask::Connection,
            is_scheduled: false,
            is_writing: false,
            is_sending: false,
            socket: None,
            is_away: false,
            requested_stop: None,
            is_frozen: false,
            is_transport_dropped: false,
            took_pong: false,
            last_sent: now,
        }
    }

    /// Adds messages, or stops if the queue is full. Ignored after a stop.
    pub(super) fn push(&mut self, queued: Queued) -> Wake {
        if self.replay.is_some() || self.delayed.is_some() {
            // The client acknowledges each message on its own, and another message may have to follow the first one.
            queued.frames().iter().for_each(|frame| self.add_next(frame.clone().into()));
        } else {
            self.add(queued);
        }
        self.wake()
    }

    fn add_next(&mut self, queued: Queued) {
        self.add(queued);
        if let Some(delayed) = self.delayed.take() {
            self.add(delayed);
        }
    }

    /// Adds a message after the next one. One that already waits is added now.
    pub(super) fn push_after_next(&mut self, queued: Queued) -> Wake {
        match self.delayed.replace(queued) {
            Some(before) => {
                self.add(before);
                self.wake()
            }
            None => Wake::None,
        }
    }

    fn add(&mut self, queued: Queued) {
        if self.requested_stop.is_some() {
            return;
        }
        let (messages, bytes) = (self.messages + queued.frames().len(), self.bytes + queued.len());
        if messages <= self.capacity.messages && bytes <= self.capacity.bytes {
            self.unsent.push_back(queued);
            (self.messages, self.bytes) = (messages, bytes);
        } else {
            self.discard();
            self.requested_stop = Some(StopReason::Overflow);
            self.sending_task = SendingTask::Connection;
        }
    }

    /// Adds a frame without a sequence id.
    pub(super) fn push_unsequenced(&mut self, kind: Unsequenced, frame: Frame) -> Wake {
        if self.requested_stop.is_none() {
            self.unsequenced[kind as usize] = Some(frame);
        }
        self.wake()
    }

    /// Stops after the queued frames are sent. Only the first stop has an effect.
    pub(super) fn stop(&mut self, reason: StopReason) -> Wake {
        if let Some(delayed) = self.delayed.take() {
            self.add(delayed);
        }
        self.requested_stop.get_or_insert(reason);
        self.hand_to_connection()
    }

    /// Stops now, and discards the queued frames.
    pub(super) fn stop_now(&mut self, reason: StopReason) -> Wake {
        self.discard();
        self.requested_stop = Some(reason);
        self.hand_to_connection()
    }

    /// Drops the transport, if there is one.
    pub(super) fn drop_transport(&mut self) -> Wake {
        self.is_transport_dropped = !self.is_away;
        self.hand_to_connection()
    }

    pub(super) fn set_frozen(&mut self, is_frozen: bool) -> Wake {
        self.is_frozen = is_frozen;
        self.hand_to_connection()
    }

    fn discard(&mut self) {
        self.unsent = VecDeque::new();
        (self.messages, self.bytes) = (0, 0);
        self.delayed = None;
        self.unsequenced = Default::default();
        self.replay = None;
    }

    fn hand_to_connection(&mut self) -> Wake {
        self.sending_task = SendingTask::Connection;
        Wake::Connection
    }

    /// The task that sends, if it has something to do and waits for it. The connection looks at its queue after it has sent a batch.
    fn wake(&mut self) -> Wake {
        match self.sending_task {
            SendingTask::Connection if self.requested_stop.is_none() && (self.is_sending || self.is_away) => Wake::None,
            SendingTask::Connection => Wake::Connection,
            SendingTask::Writer if self.is_scheduled || self.is_writing || !self.is_sendable() => Wake::None,
            SendingTask::Writer => {
                self.is_scheduled = true;
                Wake::Writer
            }
        }
    }
}

/// Questions.
impl<S> SendState<S> {
    /// The number of unsent messages.
    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// A stop takes effect on a frozen queue, too.
    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen && self.stop_reason().is_none()
    }

    pub(super) fn stop_reason(&self) -> Option<&StopReason> {
        self.immediate_stop().or(self.requested_stop.as_ref())
    }

    /// A stop after which nothing more is sent, at least over this transport.
    pub(super) fn immediate_stop(&self) -> Option<&StopReason> {
        let immediate = self.requested_stop.as_ref().filter(|reason| reason.is_immediate());
        immediate.or(self.is_transport_dropped.then_some(&StopReason::TransportDropped))
    }

    /// When messages were last sent.
    pub(super) fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// Whether the writer writes at this moment. It never waits for the client.
    pub(super) fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// Whether there is a frame that may be sent now: messages wait for acknowledgements while the replay buffer is full.
    fn is_sendable(&self) -> bool {
        let may_send_messages = match &self.replay {
            Some(replay) if replay.must_repeat() => return true,
            // The client will not resume after a stop.
            Some(replay) => replay.has_room() || self.requested_stop.is_some(),
            None => true,
        };
        (may_send_messages && !self.unsent.is_empty())
            || !self.unfinished.is_empty()
            || self.unsequenced.iter().any(Option::is_some)
    }
}

/// Sending by the writer.
impl<S: Clone> SendState<S> {
    /// Begins a write after the queue was scheduled. `None` if the connection has sent everything, or sends at this moment.
    pub(super) fn begin_write(&mut self) -> Option<(S, Batch)> {
        self.is_scheduled = false;
        if self.sending_task != SendingTask::Writer || !self.is_sendable() {
            return None;
        }
        let socket = self.socket.clone()?;
        self.is_writing = true;
        Some((socket, self.take()))
    }

    /// Ends a write. The connection sends what the socket did not take.
    pub(super) fn end_write(&mut self, rest: Batch, now: Instant) -> Wake {
        self.is_writing = false;
        self.sent_at(now);
        if rest.is_empty() {
            // Most clients get one message after another: their queue need not be allocated for each.
            if self.unsent.capacity() == 0 {
                self.unsent = rest.into_buffer(MAX_IDLE_ENTRIES);
            }
            return self.wake();
        }
        self.unfinished = rest;
        self.hand_to_connection()
    }

    fn sent_at(&mut self, now: Instant) {
        if !self.took_pong {
            self.last_sent = now;
        }
    }

    fn take(&mut self) -> Batch {
        self.took_pong = false;
        if !self.unfinished.is_empty() {
            return std::mem::take(&mut self.unfinished);
        }
        let mut taken = VecDeque::new();
        let has_pong = self.unsequenced[Unsequenced::Pong as usize].is_some();
        if self.unsequenced.iter().any(Option::is_some) {
            taken.extend(self.unsequenced.iter_mut().filter_map(Option::take).map(Queued::from));
        }
        if taken.is_empty() && self.replay.is_none() && self.bytes <= MAX_BATCH_BYTES {
            (self.messages, self.bytes) = (0, 0);
            return std::mem::take(&mut self.unsent).into();
        }
        let mut bytes = 0;
        while bytes < MAX_BATCH_BYTES
            && let Some(queued) = self.next_queued()
        {
            bytes += queued.len();
            taken.push_back(queued);
        }
        self.took_pong = has_pong && taken.len() == 1;
        taken.into()
    }

    fn next_queued(&mut self) -> Option<Queued> {
        if let Some(replay) = &mut self.replay {
            if replay.must_repeat() {
                return replay.repeat().map(Queued::from);
            }
            if !replay.has_room() && self.requested_stop.is_none() {
                return None;
            }
        }
        let queued = self.unsent.pop_front()?;
        self.messages -= queued.frames().len();
        self.bytes -= queued.len();
        if let Some(replay) = &mut self.replay {
            queued.frames().iter().for_each(|frame| replay.add(frame.clone()));
        }
        Some(queued)
    }
}

/// Sending by the task of the connection.
impl<S: Clone> SendState<S> {
    /// What the task has to do. `None` if it has to wait. Frames are returned only if `may_send`; the task then sends them and calls
    /// [`sent`](Self::sent).
    pub(super) fn next(&mut self, may_send: bool) -> Option<NextSend> {
        if let Some(reason) = self.immediate_stop() {
            return Some(NextSend::Stop(reason.clone()));
        }
        if self.is_frozen() {
            return Some(NextSend::Frozen);
        }
        if self.sending_task == SendingTask::Writer || self.is_writing || !may_send {
            return None;
        }
        if self.is_sendable() {
            self.is_sending = true;
            return Some(NextSend::Frames(self.take()));
        }
        self.requested_stop.clone().map(NextSend::Stop)
    }

    /// The frames that the task took are sent. The writer sends what comes next, if there is a socket.
    pub(super) fn sent(&mut self, now: Instant) -> Wake {
        self.sent_at(now);
        self.is_sending = false;
        self.hand_to_writer()
    }

    /// Uses a transport, by which `first` is sent before all else. Everything that is not acknowledged is sent again.
    pub(super) fn attach(&mut self, socket: Option<S>, first: Frame) -> Wake {
        self.socket = socket;
        self.is_away = false;
        self.is_sending = false;
        self.unsequenced[Unsequenced::First as usize] = Some(first);
        self.hand_to_writer()
    }

    /// The client has no transport any more, but may get another. To be called when the writer does not write.
    pub(super) fn detach(&mut self) {
        self.socket = None;
        self.is_away = true;
        self.is_transport_dropped = false;
        self.unsequenced = Default::default();
        self.unfinished = Batch::default();
    }

    /// Lets the task send, for good or until [`sent`](Self::sent). A write of the writer may still go on.
    pub(super) fn take_over(&mut self) {
        self.sending_task = SendingTask::Connection;
    }

    /// Lets the task send if the queue is half full and can be sent. Returns whether it does.
    pub(super) fn take_over_if_half_full(&mut self) -> bool {
        let is_half_full = 2 * self.messages >= self.capacity.messages || 2 * self.bytes >= self.capacity.bytes;
        let must_send = is_half_full && self.is_sendable();
        if must_send {
            self.take_over();
        }
        must_send
    }

    /// Releases the socket, which is closed next. Returns what must be sent before the last frames: what a transport begins with, or a
    /// frame that may have been sent in part.
    pub(super) fn end(&mut self) -> Batch {
        self.socket = None;
        let mut begun = std::mem::take(&mut self.unfinished);
        begun.keep_first();
        begun.extend(self.unsequenced[Unsequenced::First as usize].take());
        begun
    }

    /// Keeps sent messages until they are acknowledged.
    pub(super) fn enable_replay(&mut self, capacity: usize) {
        self.replay = Some(Box::new(ReplayBuffer::new(capacity)));
    }

    /// Discards the messages up to this sequence id.
    pub(super) fn acknowledge(&mut self, number: u64) -> Wake {
        if let Some(replay) = &mut self.replay {
            replay.acknowledge(number);
        }
        self.wake()
    }

    /// Begins to send all unacknowledged messages again. Returns the sequence id of the first one.
    pub(super) fn rewind(&mut self) -> u64 {
        self.replay.as_mut().map_or(1, |replay| replay.rewind())
    }

    fn hand_to_writer(&mut self) -> Wake {
        let may_write = self.socket.is_some() && self.stop_reason().is_none() && !self.is_frozen;
        if !may_write {
            return Wake::None;
        }
        self.sending_task = SendingTask::Writer;
        self.wake()
    }
}
