//! Serves the listeners of the local stack until a stop signal.
//!
//! Dropping the future closes the listeners too, as tests do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use azure_signalr_emulator::Emulator;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::loopback::{self, Loopback, Peer};

/// How long running requests may take after the stop signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves `emulator` until `stop`, as [`until`] serves it with the other servers.
///
/// # Errors
/// When the server fails.
pub(crate) async fn serve_emulator(
    listener: Loopback,
    emulator: Emulator,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let servers = vec![(listener, emulator.router())];
    until(stop, servers, Some(emulator), Vec::new()).await
}

/// Serves each router at its listener, to allowed hosts only. After `stop` it accepts no connections, closes the clients of `emulator`
/// and waits up to one second for running requests.
pub(super) async fn until(
    stop: impl Future<Output = ()> + Send,
    servers: Vec<(Loopback, Router)>,
    emulator: Option<Emulator>,
    hosts: Vec<String>,
) -> io::Result<()> {
    let hosts: Arc<[String]> = hosts.into();
    let (stopping, _) = watch::channel(());
    let mut running = JoinSet::new();
    for (listener, router) in servers {
        let mut stopped = stopping.subscribe();
        let shutdown = async move { while stopped.changed().await.is_ok() {} };
        let service =
            loopback::only_known_hosts(router, hosts.clone()).into_make_service_with_connect_info::<Peer>();
        running.spawn(axum::serve(listener, service).with_graceful_shutdown(shutdown).into_future());
    }
    stop.await;
    drop(stopping);
    tokio::time::timeout(DRAIN_TIMEOUT, drained(running, emulator)).await.unwrap_or_else(|_| {
        tracing::info!("closing requests that take longer than a second to end");
        Ok(())
    })
}

/// Servers do not wait for WebSockets, so the emulator does.
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
