//! The floor: a minimal server that accepts all clients with fixed responses and writes the frames it receives to their sockets.
//!
//! The difference to the emulator is the cost of HTTP, tokens, JSON, hubs, and a task and a queue for each client. Frames that are queued
//! together are written at once.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::client::WEBSOCKET_ACCEPT;
use crate::common::Result;
use crate::target::LAST_CLIENT_PATH;

/// The maximum number of queued frames.
const MAX_QUEUED_FRAMES: usize = 1_024;

/// The size from which no more frames are added to a write.
const WRITE_BYTES: usize = 256 << 10;

type Frame = Arc<[u8]>;
type Sockets = Mutex<Vec<Arc<TcpStream>>>;

/// Runs the floor until the process is killed.
pub(crate) fn run() -> Result<String> {
    let cores = thread::available_parallelism()?.get();
    // The writing tasks can occupy one thread per core, so one more thread accepts requests.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores + 1).enable_all().build()?;
    runtime.block_on(async {
        let floor = Arc::new(Floor::new(cores));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        #[expect(clippy::print_stdout, reason = "the benchmark reads the address from here")]
        {
            println!("http://localhost:{}\nready", socket.local_addr()?.port());
        }
        loop {
            let (stream, _) = socket.accept().await?;
            stream.set_nodelay(true)?;
            let floor = floor.clone();
            tokio::spawn(async move { floor.serve(stream).await });
        }
    })
}

struct Floor {
    groups: Vec<Group>,
    last_client: Mutex<Option<Arc<TcpStream>>>,
}

/// The clients that one task writes to. There is one group per core.
struct Group {
    sockets: Arc<Sockets>,
    frames: mpsc::Sender<Frame>,
}

impl Floor {
    fn new(cores: usize) -> Self {
        let groups = (0..cores).map(|_| {
            let sockets = Arc::<Sockets>::default();
            let (frames, queue) = mpsc::channel(MAX_QUEUED_FRAMES);
            tokio::spawn(write(sockets.clone(), queue));
            Group { sockets, frames }
        });
        Self { groups: groups.collect(), last_client: Mutex::default() }
    }

    /// Serves one connection, of a client or of a REST caller. Any error closes it.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut received = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end + 4;
                }
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
            };
            if received.starts_with(b"GET ") {
                return self.accept_client(stream).await;
            }
            let text = String::from_utf8_lossy(&received[..head]);
            let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
            let (is_for_last, total) = (text.split(' ').nth(1) == Some(LAST_CLIENT_PATH), head + length.unwrap_or(0));
            while received.len() < total {
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
            }
            let frame: Frame = received[head..total].into();
            received.drain(..total);
            if is_for_last {
                let last = lock(&self.last_client).clone();
                if let Some(last) = last {
                    write_all(&last, &frame).await?;
                }
            } else {
                for Group { frames, .. } in &self.groups {
                    let _ = frames.send(frame.clone()).await;
                }
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await?;
        }
    }

    /// Answers the upgrade and the handshake, and adds the socket to the smallest group. Nothing more is read from the client.
    async fn accept_client(&self, mut stream: TcpStream) -> io::Result<()> {
        let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let response =
            format!("HTTP/1.1 101 Switching Protocols\r\n{headers}Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n");
        stream.write_all(response.as_bytes()).await?;
        let mut handshake = [0; 256];
        let _ = stream.read(&mut handshake).await?;
        stream.write_all(b"\x81\x03{}\x1e").await?;
        let stream = Arc::new(stream);
        *lock(&self.last_client) = Some(stream.clone());
        let smallest = self.groups.iter().min_by_key(|group| lock(&group.sockets).len());
        if let Some(group) = smallest {
            lock(&group.sockets).push(stream);
        }
        Ok(())
    }
}

/// Writes every frame to every socket of a group.
async fn write(sockets: Arc<Sockets>, mut frames: mpsc::Receiver<Frame>) {
    let mut batch = Vec::new();
    while let Some(frame) = frames.recv().await {
        batch.clear();
        batch.extend_from_slice(&frame);
        while batch.len() < WRITE_BYTES
            && let Ok(frame) = frames.try_recv()
        {
            batch.extend_from_slice(&frame);
        }
        let clients = lock(&sockets).clone();
        for socket in clients {
            // The socket of a client that has disconnected is skipped.
            let _ = write_all(&socket, &batch).await;
        }
    }
}

async fn write_all(socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
