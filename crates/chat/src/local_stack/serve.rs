//! Serving until told to stop.
//!
//! Being told is the same as being dropped: a test that drops the future frees its ports as a signal would.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use azure_signalr_emulator::Emulator;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::loopback::{self, Loopback, Peer};

/// How long requests that are under way when we are told to stop may still take.
const DRAIN: Duration = Duration::from_secs(1);

/// Serves every router at its listener, to loopback names only. After `stop` nothing more is accepted, the clients of
/// `emulator` are told to go, and what is under way has one second.
pub(super) async fn until(
    stop: impl Future<Output = ()> + Send,
    servers: Vec<(Loopback, Router)>,
    emulator: Option<Emulator>,
    hosts: Vec<String>,
) -> io::Result<()> {
    let hosts: Arc<[String]> = hosts.into();
    let (told, _) = watch::channel(());
    let mut running = JoinSet::new();
    for (listener, router) in servers {
        let mut listening = told.subscribe();
        let dropped = async move { while listening.changed().await.is_ok() {} };
        let service =
            loopback::only_known_hosts(router, hosts.clone()).into_make_service_with_connect_info::<Peer>();
        running.spawn(axum::serve(listener, service).with_graceful_shutdown(dropped).into_future());
    }
    stop.await;
    drop(told);
    tokio::time::timeout(DRAIN, drained(running, emulator)).await.unwrap_or_else(|_| {
        tracing::info!("left behind what took longer than a second to end");
        Ok(())
    })
}

/// A WebSocket is no request any more, so no server waits for it; the emulator does.
async fn drained(mut running: JoinSet<io::Result<()>>, emulator: Option<Emulator>) -> io::Result<()> {
    if let Some(emulator) = emulator {
        emulator.close_all();
        emulator.closed().await;
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}
