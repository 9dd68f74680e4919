//! The writer, the connection, the client and callers take their steps in any order; every order that the lock of a queue allows is
//! possible. No message is lost, doubled or out of order, no two tasks write at a time, and no wake-up is missing.

use proptest::prelude::*;
use tokio::time::Instant;

use super::state::{SendState, Unsequenced, Wake};
use super::{Batch, Capacity, CloseOptions, NextSend, Queued, StopReason};
use crate::protocol::Frame;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A message with a text of so many bytes.
    Push(usize),
    /// So many short messages at once.
    PushJoined(usize),
    Ping,
    /// The writer begins with the queue, if it is in its list.
    WriterBegins,
    /// The socket takes some bytes from the task that writes; none if it is full.
    SocketTakes(usize),
    ConnectionRuns,
    Freeze,
    Unfreeze,
    /// The control API drops the transport.
    Drop,
    /// The transport breaks, and the connection notices it.
    Break,
    Reconnect,
    /// The client acknowledges a part of what it has received.
    Acknowledge(usize),
    Close,
    /// The client violates the protocol: the queue is discarded, and the last frame follows at once.
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => Just(Step::Push(0)),
        1 => Just(Step::Push(LONG)),
        3 => (2..5usize).prop_map(Step::PushJoined),
        1 => Just(Step::Ping),
        6 => Just(Step::WriterBegins),
        7 => (0..40usize).prop_map(Step::SocketTakes),
        2 => (LONG / 2..9 * LONG).prop_map(Step::SocketTakes),
        6 => Just(Step::ConnectionRuns),
        1 => Just(Step::Freeze),
        2 => Just(Step::Unfreeze),
        1 => Just(Step::Drop),
        1 => Just(Step::Break),
        2 => Just(Step::Reconnect),
        2 => (1..4usize).prop_map(Step::Acknowledge),
        1 => Just(Step::Close),
        1 => Just(Step::Fail),
    ]
}

/// Who is writing what to which socket.
#[derive(Debug)]
enum Writing {
    Writer(usize, Batch),
    Connection(usize, Batch),
}

/// One connection and everything around it.
struct World {
    state: SendState<usize>,
    is_resumable: bool,
    pushed: u64,
    /// The bytes that each socket has taken; the last socket is the current one.
    sockets: Vec<Vec<u8>>,
    is_away: bool,
    /// Whether the queue is in the list of the writer.
    is_scheduled: bool,
    /// Whether the connection has a wake-up that it has not used.
    is_woken: bool,
    writing: Option<Writing>,
    acknowledged: u64,
    is_frozen: bool,
    is_closed: bool,
    ended: Option<StopReason>,
    /// Whether the client was away when its connection ended: it gets nothing more.
    has_missed_end: bool,
}

const CAPACITY: Capacity = Capacity { messages: 1_000, bytes: 1 << 20 };

/// Few messages fit, so that the buffer is often full.
const REPLAY_BYTES: [usize; 2] = [40, 5 * LONG / 2];

/// A few of such messages are more than a batch.
const LONG: usize = 110_000;

fn closed() -> StopReason {
    StopReason::Closed(CloseOptions { reason: None, allow_reconnect: false })
}

impl World {
    fn new(replay_bytes: Option<usize>) -> Self {
        let mut state = SendState::new(CAPACITY, Instant::now());
        if let Some(bytes) = replay_bytes {
            state.enable_replay(bytes);
        }
        let mut world = Self {
            state,
            is_resumable: replay_bytes.is_some(),
            pushed: 0,
            sockets: Vec::new(),
            is_away: true,
            is_scheduled: false,
            is_woken: true,
            writing: None,
            acknowledged: 0,
            is_frozen: false,
            is_closed: false,
            ended: None,
            has_missed_end: false,
        };
        world.attach();
        world
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::None => {}
            Wake::Connection => self.is_woken = true,
            Wake::Writer => {
                assert!(!self.is_scheduled, "the queue is in the list of the writer already");
                self.is_scheduled = true;
            }
        }
    }

    fn attach(&mut self) {
        self.sockets.push(Vec::new());
        self.is_away = false;
        let first = Frame::text(&format!("first {}", self.state.rewind()));
        let wake = self.state.attach(Some(self.sockets.len() - 1), first);
        self.wake(wake);
        // The connection looks at its queue after it has attached a transport.
        self.is_woken = true;
    }

    /// The connection waits for the writer.
    fn take_over(&mut self) {
        self.state.take_over();
        if let Some(Writing::Writer(_, batch)) = self.writing.take() {
            let wake = self.state.end_write(batch, Instant::now());
            assert_eq!(wake, Wake::Connection, "the connection waits for this");
        }
    }

    /// The connection gives up its transport.
    fn detach(&mut self) {
        self.take_over();
        self.state.detach();
        self.is_away = true;
    }

    fn take(&mut self, step: Step) {
        if self.ended.is_some() {
            return;
        }
        match step {
            Step::Push(bytes) => self.push(1, bytes),
            Step::PushJoined(count) => self.push(count, 0),
            Step::Ping if !self.is_away => {
                let ping = Frame::text(&format!("ping {}", self.sockets.len() - 1));
                let wake = self.state.push_unsequenced(Unsequenced::Ping, ping);
                self.wake(wake);
            }
            Step::WriterBegins => {
                // A queue that the writer writes is not in its list.
                if std::mem::take(&mut self.is_scheduled)
                    && let Some((socket, batch)) = self.state.begin_write()
                {
                    self.begin(Writing::Writer(socket, batch));
                }
            }
            Step::SocketTakes(bytes) => self.write(bytes),
            Step::ConnectionRuns => self.run_connection(),
            Step::Freeze | Step::Unfreeze if self.is_frozen != matches!(step, Step::Freeze) => {
                self.is_frozen = !self.is_frozen;
                let wake = self.state.set_frozen(self.is_frozen);
                self.wake(wake);
            }
            Step::Drop if self.is_resumable => {
                let wake = self.state.drop_transport();
                self.wake(wake);
            }
            Step::Break if self.is_resumable && !self.is_away => self.detach(),
            Step::Reconnect if self.is_resumable => {
                self.detach();
                self.attach();
            }
            Step::Acknowledge(count) if self.is_resumable => {
                self.acknowledged = self.received().min(self.acknowledged + count as u64);
                let wake = self.state.acknowledge(self.acknowledged);
                self.wake(wake);
            }
            Step::Close => {
                self.is_closed = true;
                let wake = self.state.stop(closed());
                self.wake(wake);
            }
            Step::Fail if !self.is_away && !matches!(self.writing, Some(Writing::Connection(..))) => self.fail(),
            _ => {}
        }
    }

    fn push(&mut self, count: usize, bytes: usize) {
        let frames = (1..)
            .take(count)
            .map(|number| Frame::text(&format!("message {} {}", self.pushed + number, "x".repeat(bytes))));
        let queued = Queued::join(frames.collect()).unwrap();
        if !self.is_closed {
            self.pushed += count as u64;
        }
        let wake = self.state.push(queued);
        self.wake(wake);
    }

    fn begin(&mut self, writing: Writing) {
        assert!(self.writing.is_none(), "two tasks write");
        assert!(self.is_closed || !self.is_frozen, "a frozen queue is written");
        self.writing = Some(writing);
    }

    /// The connection waits for the writer, and sends the last frame.
    fn fail(&mut self) {
        self.take_over();
        let mut last = self.state.end();
        last.extend([Frame::text("last")]);
        self.writing = Some(Writing::Connection(self.sockets.len() - 1, last));
        while self.writing.is_some() {
            self.write(usize::MAX);
        }
        assert!(self.sockets.last().is_some_and(|socket| socket.ends_with(b"last")));
        self.ended = Some(StopReason::Aborted);
    }

    /// The task that writes gets some bytes away; with 0 the socket is full.
    fn write(&mut self, bytes: usize) {
        let Some(writing) = &mut self.writing else { return };
        let (Writing::Writer(socket, batch) | Writing::Connection(socket, batch)) = writing;
        if bytes > 0 {
            let written = &mut self.sockets[*socket];
            let took = batch.write_with(|slices| {
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(bytes).collect();
                written.extend_from_slice(&all);
                Ok(all.len())
            });
            took.expect("a batch that is written is not empty");
        }
        let is_done = batch.is_empty();
        match self.writing.take() {
            Some(Writing::Writer(_, batch)) if is_done || bytes == 0 => {
                let wake = self.state.end_write(batch, Instant::now());
                self.wake(wake);
            }
            Some(Writing::Connection(..)) if is_done => {
                let wake = self.state.sent(Instant::now());
                self.wake(wake);
                self.is_woken = true;
            }
            writing => self.writing = writing,
        }
    }

    /// The connection runs when it was woken. It waits for its own write, and for a new transport or a stop.
    fn run_connection(&mut self) {
        if matches!(self.writing, Some(Writing::Connection(..))) || !std::mem::take(&mut self.is_woken) {
            return;
        }
        if self.is_away {
            self.ended = self.state.stop_reason().cloned();
            self.has_missed_end = self.ended.is_some();
            return;
        }
        match self.state.next(true) {
            None | Some(NextSend::Frozen) => {}
            Some(NextSend::Frames(batch)) => {
                self.begin(Writing::Connection(self.sockets.len() - 1, batch));
            }
            Some(NextSend::Stop(StopReason::TransportDropped)) => self.detach(),
            Some(NextSend::Stop(reason)) => self.ended = Some(reason),
        }
    }

    /// How many messages the client has received, over any of its sockets.
    fn received(&self) -> u64 {
        self.sockets.iter().enumerate().flat_map(|(index, bytes)| numbers(index, bytes)).fold(0, |received, number| {
            assert!(number <= received + 1, "a message is missing");
            received.max(number)
        })
    }

    /// Lets every task run until none has anything to do.
    fn settle(&mut self) {
        self.take(Step::Unfreeze);
        for _ in 0..self.pushed + 9 {
            self.take(Step::WriterBegins);
            self.take(Step::SocketTakes(usize::MAX));
            self.take(Step::ConnectionRuns);
            self.take(Step::SocketTakes(usize::MAX));
            if self.is_away {
                self.attach();
            }
            self.take(Step::Acknowledge(usize::MAX >> 1));
        }
    }
}

/// Reads the frames of a socket: what it begins with, then messages without a gap, pings, and perhaps the last frame.
fn numbers(socket: usize, mut bytes: &[u8]) -> Vec<u64> {
    let (mut numbers, mut expected) = (Vec::new(), None);
    while let [first, length, rest @ ..] = bytes
        && let Some((length, rest)) = match *length {
            127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length) as usize, rest)),
            length => Some((usize::from(length), rest)),
        }
        && let Some((payload, rest)) = rest.split_at_checked(length)
    {
        assert_eq!(*first, 0x81, "a frame begins");
        let mut words = str::from_utf8(payload).unwrap().split(' ');
        let kind = words.next().unwrap();
        let number = words.next().map(|number| number.parse::<u64>().unwrap());
        match (kind, number, expected) {
            ("first", Some(number), None) => expected = Some(number),
            ("message", Some(number), Some(next)) => {
                assert_eq!(number, next, "a message is missing, doubled or out of order");
                expected = Some(number + 1);
                numbers.push(number);
            }
            ("ping", Some(number), Some(_)) => assert_eq!(number, socket as u64, "a ping for an earlier socket"),
            ("last", None, Some(_)) => assert_eq!(rest, b""),
            _ => panic!("unexpected {kind}"),
        }
        bytes = rest;
    }
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_order_of_steps_delivers_every_message_once_and_in_order(
        replay_bytes in prop::option::of(prop::sample::select(&REPLAY_BYTES[..])),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(replay_bytes);
        steps.into_iter().for_each(|step| world.take(step));
        world.settle();
        let received = world.received();
        if world.ended != Some(StopReason::Aborted) {
            prop_assert_eq!(&world.ended, &world.is_closed.then(closed));
            if !world.has_missed_end {
                prop_assert_eq!((received, world.state.stop_reason()), (world.pushed, world.ended.as_ref()));
            }
        }
    }
}
