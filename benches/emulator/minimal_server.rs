//! The floor: a server on the same runtime that answers with prepared bytes and writes the frames it receives to the sockets of its clients.
//!
//! The difference to the emulator is the cost of HTTP, tokens, JSON, hubs, limits and logs. Like the emulator it runs on one core, on one
//! thread, and has a queue of frames for each client, so that each can be sent messages of its own. Frames that are queued together leave in
//! one write, and a client that is full does not delay the others.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local, yield_now};

use crate::common::Result;
use crate::connect::WEBSOCKET_ACCEPT;
use crate::target::FLOOR_SEND_PATH;

/// The size from which no more frames are added to a write, and the most frames in a write.
pub(crate) const WRITE_BYTES: usize = 256 << 10;
const MAX_SLICES: usize = 256;

/// After this many clients, requests that have arrived are read, so that their frames leave with the next writes.
const CLIENTS_PER_TURN: usize = 32;

/// The answers to the first request, to a negotiation and to a message.
pub(crate) const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
pub(crate) const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
pub(crate) const HANDSHAKE_RESPONSE: &[u8] = b"\x81\x03{}\x1e";
const NEGOTIATION: &str = r#"{"negotiateVersion":1,"connectionId":"1","connectionToken":"1","availableTransports":[]}"#;

/// The answer to a negotiation.
pub(crate) fn negotiation() -> String {
    let length = NEGOTIATION.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{NEGOTIATION}")
}

/// The answer to an upgrade.
pub(crate) fn upgrade_response() -> String {
    let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    format!("HTTP/1.1 101 Switching Protocols\r\n{headers}Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n")
}

/// Runs the floor on `port` until the process is killed.
pub(crate) fn run(port: &str) -> Result<String> {
    let port: u16 = port.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let floor = Rc::<Floor>::default();
        spawn_local(floor.clone().write_queues());
        loop {
            let (stream, _) = socket.accept().await?;
            stream.set_nodelay(true)?;
            let floor = floor.clone();
            spawn_local(async move { floor.serve(stream).await });
        }
    })
}

/// A request whose bytes have all been received.
pub(crate) struct Request {
    pub(crate) path: String,
    /// The place of the body in the received bytes.
    pub(crate) body: Range<usize>,
}

/// Reads the next request, which `received` may begin with. `None` at the end of the stream.
pub(crate) async fn read_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&received[..head]);
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    let body = head..head + length.unwrap_or(0);
    while received.len() < body.end {
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Request { path, body }))
}

#[derive(Default)]
struct Floor {
    clients: RefCell<Vec<Rc<Client>>>,
    /// The clients whose queue was empty when a frame was added.
    waiting: RefCell<Vec<Rc<Client>>>,
    added: Notify,
}

struct Client {
    stream: TcpStream,
    queue: RefCell<VecDeque<Rc<[u8]>>>,
    /// The number of sent bytes of the first frame in the queue.
    sent: Cell<usize>,
}

impl Floor {
    /// Serves one connection, of a client or of a caller. Any error closes it.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut received = Vec::new();
        while let Some(Request { path, body }) = read_request(&mut stream, &mut received).await? {
            let Some(last) = path.strip_prefix(FLOOR_SEND_PATH) else {
                if path.starts_with("/client/?") {
                    return self.accept_client(stream).await;
                }
                if path.starts_with("/client/negotiate") {
                    stream.write_all(negotiation().as_bytes()).await?;
                } else {
                    stream.write_all(HEALTHY.as_bytes()).await?;
                }
                received.drain(..body.end);
                continue;
            };
            let recipients = last.parse().unwrap_or(usize::MAX);
            let frame = Rc::from(&received[body.clone()]);
            for client in self.clients.borrow().iter().rev().take(recipients) {
                let mut queue = client.queue.borrow_mut();
                if queue.is_empty() {
                    self.waiting.borrow_mut().push(client.clone());
                }
                queue.push_back(Rc::clone(&frame));
            }
            self.added.notify_one();
            stream.write_all(ACCEPTED.as_bytes()).await?;
            received.drain(..body.end);
        }
        Ok(())
    }

    /// Answers the upgrade and the handshake. Nothing more is read from the client.
    async fn accept_client(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.write_all(upgrade_response().as_bytes()).await?;
        let mut handshake = [0; 256];
        let _ = stream.read(&mut handshake).await?;
        stream.write_all(HANDSHAKE_RESPONSE).await?;
        let client = Client { stream, queue: RefCell::default(), sent: Cell::new(0) };
        self.clients.borrow_mut().push(Rc::new(client));
        Ok(())
    }

    /// Writes what is queued, again and again.
    async fn write_queues(self: Rc<Self>) {
        loop {
            self.added.notified().await;
            let clients = self.waiting.take();
            for turn in clients.chunks(CLIENTS_PER_TURN) {
                for client in turn.iter().filter(|client| !client.write()) {
                    spawn_local(client.clone().write_when_possible());
                }
                yield_now().await;
            }
        }
    }
}

impl Client {
    /// Writes to a client that was full, until its queue is empty.
    async fn write_when_possible(self: Rc<Self>) {
        while self.stream.writable().await.is_ok() {
            if self.write() {
                return;
            }
        }
    }

    /// Writes the queue, and returns whether that was all. What a disconnected client is sent is lost.
    fn write(&self) -> bool {
        let mut queue = self.queue.borrow_mut();
        while let Some(first) = queue.front() {
            let first = &first[self.sent.get()..];
            let written = if queue.len() == 1 { self.stream.try_write(first) } else { self.write_many(first, &queue) };
            match written {
                Ok(written) => self.remove(&mut queue, written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    queue.clear();
                    self.sent.set(0);
                }
            }
        }
        true
    }

    /// Writes the rest of the first frame and those after it.
    fn write_many(&self, first: &[u8], queue: &VecDeque<Rc<[u8]>>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(first); MAX_SLICES];
        let (mut count, mut bytes) = (1, first.len());
        for (slice, frame) in slices[1..].iter_mut().zip(queue.iter().skip(1)) {
            if bytes >= WRITE_BYTES {
                break;
            }
            *slice = IoSlice::new(frame);
            (count, bytes) = (count + 1, bytes + frame.len());
        }
        self.stream.try_write_vectored(&slices[..count])
    }

    /// Removes written bytes from the queue.
    fn remove(&self, queue: &mut VecDeque<Rc<[u8]>>, written: usize) {
        let mut sent = self.sent.get() + written;
        while queue.front().is_some_and(|frame| frame.len() <= sent) {
            sent -= queue.pop_front().map_or(0, |frame| frame.len());
        }
        self.sent.set(sent);
    }
}
