//! The simulated clients that receive broadcasts. A message that is lost, duplicated, changed or out of order ends the run.

use std::cell::{Cell, RefCell};
use std::fs;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::common::Result;
use crate::connect::{Connected, Socket};
use crate::frame::Frame;
use crate::message::{NumberedMessage, PING};

/// The longest wait until all clients have received all messages.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// The size of the read buffer.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// Clients that all receive the same messages. Dropping it disconnects them.
pub(crate) struct Clients {
    shared: Rc<Shared>,
    /// Dropping the set stops the tasks.
    tasks: JoinSet<()>,
    /// The number of the next message.
    next: u32,
}

struct Shared {
    message: NumberedMessage,
    /// The number of messages that all clients together have received.
    received: Cell<u64>,
    /// The number that [`Clients::wait_for`] waits for.
    expected: Cell<u64>,
    /// The time before the request, and from there to each delivery. `None` if deliveries are not timed.
    sent_at: Cell<Option<Instant>>,
    latencies: RefCell<Vec<Duration>>,
    /// The first error.
    error: RefCell<Option<String>>,
    changed: Notify,
    /// One read buffer for all clients, which stays in the CPU cache. Only one task runs at a time.
    buffer: RefCell<Vec<u8>>,
}

impl Clients {
    /// No clients yet. They expect `message` with the numbers from 0.
    pub(crate) fn new(message: &NumberedMessage) -> Self {
        let shared = Shared {
            message: message.clone(),
            received: Cell::new(0),
            expected: Cell::new(0),
            sent_at: Cell::new(None),
            latencies: RefCell::default(),
            error: RefCell::new(None),
            changed: Notify::new(),
            buffer: RefCell::new(vec![0; READ_BUFFER_BYTES]),
        };
        Self { shared: Rc::new(shared), tasks: JoinSet::new(), next: 0 }
    }

    /// Adds a client, which expects the next message.
    pub(crate) fn add(&mut self, client: Connected) -> Result<()> {
        let stream = TcpStream::from_std(client.socket.into_stream()?)?;
        let client = Client { stream, partial_frame: Vec::new(), next: self.next };
        self.tasks.spawn_local(client.run(self.shared.clone()));
        Ok(())
    }

    /// The number of clients.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Broadcasts `count` messages with `request`, each when all clients have the previous one. Returns the time from before each request to
    /// each delivery, in ascending order.
    pub(crate) async fn broadcast_sequentially(
        &mut self,
        caller: &mut Socket,
        request: &mut NumberedMessage,
        count: u32,
    ) -> Result<Vec<Duration>> {
        self.shared.latencies.borrow_mut().reserve(count as usize * self.len());
        for _ in 0..count {
            let request = request.with(self.next);
            self.shared.sent_at.set(Some(Instant::now()));
            caller.send(request)?;
            self.wait_for(1).await?;
            caller.response(202)?;
        }
        self.shared.sent_at.set(None);
        let mut latencies = self.shared.latencies.take();
        latencies.sort_unstable();
        Ok(latencies)
    }

    /// Waits until all clients have received the next `messages`.
    pub(crate) async fn wait_for(&mut self, messages: u32) -> Result<()> {
        self.next += messages;
        let shared = &self.shared;
        let expected = shared.expected.get() + u64::from(messages) * self.len() as u64;
        shared.expected.set(expected);
        let waiting = async {
            while shared.error.borrow().is_none() && shared.received.get() < expected {
                shared.changed.notified().await;
            }
        };
        let in_time = timeout(DELIVERY_TIMEOUT, waiting).await.is_ok();
        self.check()?;
        if in_time {
            return Ok(());
        }
        let received = shared.received.get();
        Err(format!("only {received} of {expected} deliveries arrived within {} s", DELIVERY_TIMEOUT.as_secs()).into())
    }

    /// Returns the first error, if any.
    pub(crate) fn check(&self) -> Result<()> {
        self.shared.error.borrow().clone().map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A connected client.
struct Client {
    stream: TcpStream,
    /// The received part of an incomplete frame.
    partial_frame: Vec<u8>,
    /// The number of the next message.
    next: u32,
}

impl Client {
    /// Receives messages until an error occurs.
    async fn run(mut self, shared: Rc<Shared>) {
        let error = loop {
            let receiving =
                poll_fn(|context| self.poll_receive(context, &mut shared.buffer.borrow_mut(), &shared.message));
            match receiving.await {
                Ok(count) => shared.count(count),
                Err(error) => break error,
            }
        };
        shared.error.borrow_mut().get_or_insert(error.to_string());
        shared.changed.notify_one();
    }

    /// Reads available bytes into `buffer`, behind those of an incomplete frame, and returns the number of messages.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        message: &NumberedMessage,
    ) -> Poll<Result<u32>> {
        let kept = self.partial_frame.len();
        if buffer.len() < kept + READ_BUFFER_BYTES {
            buffer.resize(kept + READ_BUFFER_BYTES, 0);
        }
        let mut unread = ReadBuf::new(&mut buffer[kept..]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut unread))?;
        let received = unread.filled().len();
        if received == 0 {
            return Poll::Ready(Err("a connection was closed".into()));
        }
        buffer[..kept].copy_from_slice(&self.partial_frame);
        let (count, rest) = count_messages(&buffer[..kept + received], message, self.next)?;
        self.partial_frame.clear();
        self.partial_frame.extend_from_slice(rest);
        self.next += count;
        Poll::Ready(Ok(count))
    }
}

impl Shared {
    /// Adds the deliveries of one client.
    fn count(&self, deliveries: u32) {
        if let Some(sent_at) = self.sent_at.get() {
            let latency = sent_at.elapsed();
            self.latencies.borrow_mut().extend((0..deliveries).map(|_| latency));
        }
        self.received.update(|received| received + u64::from(deliveries));
        if self.received.get() == self.expected.get() {
            self.changed.notify_one();
        }
    }
}

/// Counts the messages in complete frames, of which one may contain several. Returns the number and the bytes of the incomplete frame.
fn count_messages<'a>(mut bytes: &'a [u8], message: &NumberedMessage, next: u32) -> Result<(u32, &'a [u8])> {
    let mut messages = 0;
    while let Some(Frame { mut payload, rest }) = Frame::parse(bytes)? {
        while !payload.is_empty() {
            if let Some((number, others)) = message.read(payload) {
                let expected = next + messages;
                if number != expected {
                    return Err(format!("message {number} was received instead of {expected}").into());
                }
                messages += 1;
                payload = others;
            } else {
                payload = payload.strip_prefix(PING).ok_or("an unknown message was received")?;
            }
        }
        bytes = rest;
    }
    Ok((messages, bytes))
}

/// Open files of a process besides the sockets of the clients.
const OTHER_OPEN_FILES: usize = 100;

/// Checks that a process may open a socket for each of `clients`. Child processes inherit the limit.
pub(crate) fn check_open_files(clients: usize) -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit =
        line.and_then(|line| line.split_whitespace().next()).ok_or("/proc/self/limits has no limit of open files")?;
    let needed = clients + OTHER_OPEN_FILES;
    // The value may be `unlimited`.
    if limit.parse::<usize>().is_ok_and(|limit| limit < needed) {
        return Err(format!(
            "{clients} clients need {needed} open files in one process, and the limit is {limit}; raise it with `ulimit -n {needed}`"
        )
        .into());
    }
    Ok(())
}
