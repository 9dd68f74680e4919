//! The floor: a service that does no work. It accepts everybody by heart and writes frames that come ready-made.
//!
//! What the emulator costs above it is what the emulator does: HTTP, tokens, JSON, hubs, a task and a queue for each client. To both,
//! the machine gives the same sockets. Several frames that wait are one write.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::Result;
use crate::service::{ACCEPT, To};

/// Where messages to one user are posted: to the client that came last.
const LAST: &str = "/last";

/// Requests that may wait for sockets to take them.
const BACKLOG: usize = 1_024;

/// Bytes that are gathered for one write.
const GATHERED: usize = 256 << 10;

type Frame = Arc<[u8]>;
type Sockets = Mutex<Vec<Arc<TcpStream>>>;

/// The request that has `message` written in a frame.
pub(crate) fn request(to: To<'_>, message: &[u8]) -> Vec<u8> {
    let path = match to {
        To::Everyone => "/",
        To::User(_) => LAST,
    };
    // A text frame of 126 to 65535 bytes.
    let frame_length = message.len() + 4;
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut request = format!("POST {path} HTTP/1.1\r\nContent-Length: {frame_length}\r\n\r\n").into_bytes();
    request.extend_from_slice(&[0x81, 126, length[0], length[1]]);
    request.extend_from_slice(message);
    request
}

/// Runs the floor until the process is ended.
pub(crate) fn run() -> Result<String> {
    let cores = thread::available_parallelism()?.get();
    // Who writes to many sockets does not pause in between, so there has to be a thread left to listen to callers.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(cores + 1).enable_all().build()?;
    runtime.block_on(async {
        let floor = Arc::new(Floor::new(cores));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        #[expect(clippy::print_stdout, reason = "that is how who started it learns where it is")]
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
    parts: Vec<Part>,
    last: Mutex<Option<Arc<TcpStream>>>,
}

/// Some of the clients. There is a part for each core.
struct Part {
    sockets: Arc<Sockets>,
    frames: mpsc::Sender<Frame>,
}

impl Floor {
    fn new(cores: usize) -> Self {
        let parts = (0..cores).map(|_| {
            let sockets = Arc::<Sockets>::default();
            let (frames, waiting) = mpsc::channel(BACKLOG);
            tokio::spawn(write(sockets.clone(), waiting));
            Part { sockets, frames }
        });
        Self { parts: parts.collect(), last: Mutex::default() }
    }

    /// One connection, a caller's or a client's. Whatever is wrong with it ends it.
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
                return self.admit(stream).await;
            }
            let text = String::from_utf8_lossy(&received[..head]);
            let length =
                text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
            let (is_for_last, whole) = (text.split(' ').nth(1) == Some(LAST), head + length.unwrap_or(0));
            while received.len() < whole {
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
            }
            let frame: Frame = received[head..whole].into();
            received.drain(..whole);
            if is_for_last {
                let last = lock(&self.last).clone();
                if let Some(last) = last {
                    write_all(&last, &frame).await?;
                }
            } else {
                for Part { frames, .. } in &self.parts {
                    let _ = frames.send(frame.clone()).await;
                }
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await?;
        }
    }

    /// Answers the upgrade and the handshake. After that nobody listens to the client, and no task is left.
    async fn admit(&self, mut stream: TcpStream) -> io::Result<()> {
        let about = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let accepted =
            format!("HTTP/1.1 101 Switching Protocols\r\n{about}Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
        stream.write_all(accepted.as_bytes()).await?;
        let mut handshake = [0; 256];
        let _ = stream.read(&mut handshake).await?;
        stream.write_all(b"\x81\x03{}\x1e").await?;
        let stream = Arc::new(stream);
        *lock(&self.last) = Some(stream.clone());
        let smallest = self.parts.iter().min_by_key(|part| lock(&part.sockets).len());
        if let Some(part) = smallest {
            lock(&part.sockets).push(stream);
        }
        Ok(())
    }
}

/// Writes every frame to every socket of a part.
async fn write(sockets: Arc<Sockets>, mut frames: mpsc::Receiver<Frame>) {
    let mut gathered = Vec::new();
    while let Some(frame) = frames.recv().await {
        gathered.clear();
        gathered.extend_from_slice(&frame);
        while gathered.len() < GATHERED
            && let Ok(frame) = frames.try_recv()
        {
            gathered.extend_from_slice(&frame);
        }
        let everybody = lock(&sockets).clone();
        for socket in everybody {
            // A client that is gone takes nothing, and the others theirs.
            let _ = write_all(&socket, &gathered).await;
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
