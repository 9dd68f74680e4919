//! [`SlowPeer`]: a socket that sends nothing, sends a byte at times, or does not read.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

use crate::support::{client_token, token};

/// How often some of the sockets send a byte. Each of them does so once a second.
const DRIP_INTERVAL: Duration = Duration::from_millis(10);

/// What a time-out may take longer on a busy machine, where thousands of sockets wait to be accepted and authorized.
const MARGIN: Duration = Duration::from_secs(60);

/// Every so many sockets, one does not read.
const READERS_INTERVAL: usize = 500;

/// How many requests it sends: their responses are longer than the buffers of its socket.
const REQUESTS_OF_READER: usize = 1_000;

/// What a slow socket does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sends nothing.
    Silent,
    /// Sends the head of a request, without end.
    Head,
    /// Sends the body of a REST call.
    Body,
    /// Sends a handshake over a WebSocket, without end.
    Handshake,
    /// Does not read the responses to its requests.
    Reader,
}

impl Kind {
    /// The time-out of the emulator that ends it.
    fn time_out(self) -> Duration {
        Duration::from_secs(match self {
            Self::Silent => 180,
            Self::Head => 20,
            Self::Body => 30,
            // Of the handshake, and of the close that follows.
            Self::Handshake => 15 + 5,
            Self::Reader => 60,
        })
    }

    /// What it sends at once.
    fn beginning(self) -> Vec<u8> {
        match self {
            Self::Silent => Vec::new(),
            Self::Head => b"GET /client/?hub=chat HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec(),
            Self::Body => {
                let path = "/api/hubs/chat/:send";
                let token = token(json!({"aud": format!("http://localhost{path}")}));
                format!(
                    "POST {path}?api-version=2024-12-01 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
                     Content-Length: 100000\r\n\r\n"
                )
                .into_bytes()
            }
            Self::Handshake => {
                let token = client_token(json!({}));
                let head = format!(
                    "GET /client/?hub=chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
                     Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                );
                // A masked text frame of 65,535 bytes.
                [head.as_bytes(), &[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]].concat()
            }
            Self::Reader => b"GET /emulator/ HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(REQUESTS_OF_READER),
        }
    }
}

/// Opens `count` sockets of all kinds. Few do not read, since their responses take memory.
pub(crate) async fn open(port: u16, count: usize) -> Vec<SlowPeer> {
    let reader = (Kind::Reader, Kind::Reader.beginning());
    let others = [Kind::Silent, Kind::Head, Kind::Body, Kind::Handshake].map(|kind| (kind, kind.beginning()));
    let mut peers = Vec::with_capacity(count);
    for index in 0..count {
        let (kind, beginning) = if index % READERS_INTERVAL == 0 { &reader } else { &others[index % others.len()] };
        peers.push(SlowPeer::open(port, *kind, beginning).await);
    }
    peers
}

pub(crate) struct SlowPeer {
    kind: Kind,
    stream: TcpStream,
    opened: Instant,
}

impl SlowPeer {
    async fn open(port: u16, kind: Kind, beginning: &[u8]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if kind == Kind::Reader {
            socket.set_recv_buffer_size(1).unwrap();
        }
        let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        Self { kind, stream, opened: Instant::now() }
    }

    /// Sends a byte, if it is of a kind that does. Errors are those of a closed socket.
    fn drip(&self) {
        if matches!(self.kind, Kind::Head | Kind::Body | Kind::Handshake) {
            let _ = self.stream.try_write(b"x");
        }
    }

    /// Whether the emulator has closed it. Not known of one that does not read.
    pub(crate) fn is_closed(&self) -> bool {
        let mut received = [0; 4_096];
        self.kind != Kind::Reader
            && loop {
                match self.stream.try_read(&mut received) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(error) => return error.kind() != ErrorKind::WouldBlock,
                }
            }
    }
}

/// Lets the sockets send a byte each second, by turns, until the sender of `stop` is dropped.
pub(crate) async fn drip(peers: Vec<SlowPeer>, mut stop: oneshot::Receiver<()>) -> Vec<SlowPeer> {
    let mut ticks = interval(DRIP_INTERVAL);
    for peers_of_turn in peers.chunks(turn(&peers)).cycle() {
        peers_of_turn.iter().for_each(SlowPeer::drip);
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stop => break,
        }
    }
    peers
}

/// How many sockets send in a turn.
fn turn(peers: &[SlowPeer]) -> usize {
    peers.len().div_ceil(100)
}

/// Goes on sending, and waits until the emulator has closed all sockets. Each has to be closed by the time-out of its kind.
pub(crate) async fn check_time_outs(mut peers: Vec<SlowPeer>) {
    let readers: Vec<_> = peers.extract_if(.., |peer| peer.kind == Kind::Reader).collect();
    let mut ticks = interval(100 * DRIP_INTERVAL);
    while !peers.is_empty() {
        ticks.tick().await;
        peers.iter().for_each(SlowPeer::drip);
        peers.retain(|peer| !peer.is_closed());
        let late = peers.iter().find(|peer| peer.opened.elapsed() > peer.kind.time_out() + MARGIN);
        assert!(late.is_none(), "still open: {:?}", late.map(|peer| peer.kind));
    }
    for mut reader in readers {
        assert!(reader.opened.elapsed() > Kind::Reader.time_out() + MARGIN);
        let mut received = Vec::new();
        // A reset is an end, too.
        let _ = timeout(MARGIN, reader.stream.read_to_end(&mut received)).await.expect("the socket is closed");
        let all = REQUESTS_OF_READER * include_str!("../../CONTROL.md").len();
        assert!(received.len() < all, "all responses were sent");
    }
}
