//! A second floor, for the burst: a plain server that writes every message to every client, on all cores.
//!
//! One task for each core takes the messages of a shared channel, gathers those that wait into one batch, and writes this batch to its share of
//! the clients, one after the other. It cannot send a client messages of its own, and one client that does not read delays the others.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::common::Result;
use crate::minimal_server::{
    ACCEPTED, HANDSHAKE_RESPONSE, HEALTHY, Request, WRITE_BYTES, negotiation, read_request, upgrade_response,
};
use crate::target::FLOOR_SEND_PATH;

/// The maximum number of waiting messages.
const MAX_WAITING_FRAMES: usize = 1_024;

type Frame = Arc<[u8]>;

/// The clients that one task writes to, and the messages for them.
struct Share {
    clients: Arc<Mutex<Vec<Arc<TcpStream>>>>,
    frames: mpsc::Sender<Frame>,
}

/// Runs the server on `port` until the process is killed.
pub(crate) fn run(port: &str) -> Result<String> {
    let port: u16 = port.parse()?;
    let cores = thread::available_parallelism()?.get();
    // The writing tasks can occupy one thread per core, so one more thread accepts requests.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores + 1).enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let shares: Arc<[Share]> = (0..cores).map(|_| Share::start()).collect();
        loop {
            let (stream, _) = socket.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(shares.clone(), stream));
        }
    })
}

impl Share {
    fn start() -> Self {
        let clients = Arc::<Mutex<Vec<Arc<TcpStream>>>>::default();
        let (frames, waiting) = mpsc::channel(MAX_WAITING_FRAMES);
        tokio::spawn(write(clients.clone(), waiting));
        Self { clients, frames }
    }
}

/// Serves one connection, of a client or of a caller. Any error closes it.
async fn serve(shares: Arc<[Share]>, mut stream: TcpStream) -> io::Result<()> {
    let mut received = Vec::new();
    while let Some(Request { path, body }) = read_request(&mut stream, &mut received).await? {
        if path.starts_with("/client/?") {
            return accept_client(&shares, stream).await;
        }
        if path.starts_with(FLOOR_SEND_PATH) {
            let frame: Frame = received[body.clone()].into();
            for share in &*shares {
                let _ = share.frames.send(frame.clone()).await;
            }
            stream.write_all(ACCEPTED.as_bytes()).await?;
        } else {
            let is_negotiation = path.starts_with("/client/negotiate");
            let response = if is_negotiation { negotiation() } else { HEALTHY.to_owned() };
            stream.write_all(response.as_bytes()).await?;
        }
        received.drain(..body.end);
    }
    Ok(())
}

/// Answers the upgrade and the handshake, and adds the client to the smallest share. Nothing more is read from it.
async fn accept_client(shares: &[Share], mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(upgrade_response().as_bytes()).await?;
    let _ = stream.read(&mut [0; 256]).await?;
    stream.write_all(HANDSHAKE_RESPONSE).await?;
    if let Some(smallest) = shares.iter().min_by_key(|share| lock(&share.clients).len()) {
        lock(&smallest.clients).push(Arc::new(stream));
    }
    Ok(())
}

/// Writes every message to every client of a share.
async fn write(clients: Arc<Mutex<Vec<Arc<TcpStream>>>>, mut frames: mpsc::Receiver<Frame>) {
    let mut batch = Vec::new();
    while let Some(frame) = frames.recv().await {
        batch.clear();
        batch.extend_from_slice(&frame);
        while batch.len() < WRITE_BYTES
            && let Ok(frame) = frames.try_recv()
        {
            batch.extend_from_slice(&frame);
        }
        let clients = lock(&clients).clone();
        for client in clients {
            // A client that has disconnected is skipped.
            let _ = write_all(&client, &batch).await;
        }
    }
}

async fn write_all(client: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match client.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => client.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
