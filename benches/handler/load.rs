//! Measures requests per second over persistent connections, with one request at a time on each, as the Functions host sends them.
//!
//! The loop is closed: latency is the number of connections divided by the rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::common::Result;
use crate::common::http::Connection;
use crate::common::process::{Measurement, Process};
use crate::common::start::wait_for_response;
use crate::server::SignalRService;
use crate::target::{Request, Target};

const CONNECTIONS: usize = 64;
pub(crate) const REPEATS: usize = 3;
const WARM_UP_INTERVAL: Duration = Duration::from_millis(700);
const MEASURED_INTERVAL: Duration = Duration::from_secs(3);

/// The measurements of one target under load.
#[derive(Default)]
pub(crate) struct Loads {
    pub(crate) negotiate: Load,
    pub(crate) messages: Load,
    /// Resident memory in MiB after both loads.
    pub(crate) after_mib: Vec<f64>,
}

/// One route of one target under load, one value per repeat.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) per_second: Vec<f64>,
    /// CPU time of the target in µs per request.
    pub(crate) cpu_us: Vec<f64>,
    /// The average number of cores that the target used.
    pub(crate) cores: Vec<f64>,
    /// The share of time in which the load generator was running or runnable.
    pub(crate) load_generator_busy: Vec<f64>,
}

/// Measures all targets in turn, repeatedly, each time in a new process. The result is in the order of `targets`.
pub(crate) async fn measure(targets: &[Target], service: &SignalRService) -> Result<Vec<Loads>> {
    let mut all: Vec<Loads> = targets.iter().map(|_| Loads::default()).collect();
    for _ in 0..REPEATS {
        for (target, loads) in targets.iter().zip(&mut all) {
            let failed = |error| format!("{} under load: {error}", target.name);
            let mut process = target.spawn()?;
            wait_for_response(&mut process, Request::probe().as_bytes()).await?;
            loads.negotiate.add(&process, Request::negotiation(), 200, CONNECTIONS).await.map_err(failed)?;
            let before = service.received().messages;
            let accepted = loads.messages.add(&process, Request::message(), 202, CONNECTIONS).await.map_err(failed)?;
            let published = service.received().messages - before;
            if published != accepted {
                return Err(format!("{} accepted {accepted} messages and published {published}", target.name).into());
            }
            loads.after_mib.push(process.resident_kib()? / 1_024.0);
        }
    }
    Ok(all)
}

impl Load {
    /// Adds one measurement with `connection_count` connections, and returns the number of requests, including the warm-up.
    pub(crate) async fn add(
        &mut self,
        process: &Process,
        request: Request,
        status: u16,
        connection_count: usize,
    ) -> Result<u64> {
        let request = Arc::new(request);
        let mut connections = Vec::with_capacity(connection_count);
        for _ in 0..connection_count {
            connections.push(Connection::open(process.port).await?);
        }
        let (connections, warm_up) = drive(connections, &request, status, WARM_UP_INTERVAL).await?;

        let measurement = Measurement::start(process)?;
        let (_, requests) = drive(connections, &request, status, MEASURED_INTERVAL).await?;
        let usage = measurement.finish()?;

        self.per_second.push(requests as f64 / usage.elapsed);
        self.cpu_us.push(usage.cpu * 1e6 / requests as f64);
        self.cores.push(usage.cpu / usage.elapsed);
        self.load_generator_busy.push(usage.load_generator_busy);
        Ok(warm_up + requests)
    }
}

/// Sends `request` on all `connections` for `time`. Returns the connections and the number of responses. A wrong status is an error.
async fn drive(
    connections: Vec<Connection>,
    request: &Arc<Request>,
    status: u16,
    time: Duration,
) -> Result<(Vec<Connection>, u64)> {
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for mut connection in connections {
        let request = request.clone();
        clients.spawn(async move {
            let mut responses = 0;
            while Instant::now() < end {
                connection.send(request.as_bytes(), status).await.map_err(|error| error.to_string())?;
                responses += 1;
            }
            Ok::<_, String>((connection, responses))
        });
    }
    let mut connections = Vec::with_capacity(clients.len());
    let mut sum = 0;
    while let Some(finished) = clients.join_next().await {
        let (connection, responses): (_, u64) = finished??;
        connections.push(connection);
        sum += responses;
    }
    Ok((connections, sum))
}
