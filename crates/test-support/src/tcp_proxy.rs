//! A TCP proxy whose connections can die without a sign, as when a load balancer or a NAT forgets them.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::http::listen;

/// Forwards connections to a port of 127.0.0.1.
pub struct TcpProxy {
    port: u16,
    accepted: Arc<AtomicUsize>,
    /// Every connection that sees a change forwards nothing more.
    swallow: watch::Sender<()>,
}

impl TcpProxy {
    /// Forwards from a free port of 127.0.0.1 to `target`, another port of it, until the test ends.
    pub async fn start(target: u16) -> Self {
        let (listener, port) = listen().await;
        let (swallow, accepted) = (watch::Sender::new(()), Arc::new(AtomicUsize::new(0)));
        let (subscribe, count) = (swallow.clone(), accepted.clone());
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(forward(caller, target, subscribe.subscribe()));
            }
        });
        Self { port, accepted, swallow }
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// From now on nothing passes on the connections that are open, in either direction, and none of them is closed. New ones work.
    pub fn swallow_open_connections(&self) {
        self.swallow.send_replace(());
    }
}

async fn forward(mut caller: TcpStream, target: u16, mut swallow: watch::Receiver<()>) {
    let Ok(mut target) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    tokio::select! {
        biased;
        changed = swallow.changed() => if changed.is_ok() { pending::<()>().await },
        _ = copy_bidirectional(&mut caller, &mut target) => {}
    }
}
