//! Requests per second over kept connections, one request at a time on each, as the Functions host sends them.
//!
//! The loop is closed: a slower target is asked less often. So its latency says nothing that its rate does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Result;
use crate::common::http::Connection;
use crate::common::process::{Process, Scheduled};
use crate::request::Request;
use crate::server::Service;
use crate::start;
use crate::target::Target;

const CONNECTIONS: usize = 64;
const REPEATS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_secs(3);

/// The loads of one target.
#[derive(Default)]
pub(crate) struct Loads {
    pub(crate) negotiate: Load,
    pub(crate) messages: Load,
    /// Resident MiB after both.
    pub(crate) after_mib: Vec<f64>,
}

/// One route of one target under load, a value per repeat.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) per_second: Vec<f64>,
    /// Microseconds all threads of the target were on a core, per request.
    pub(crate) cpu_us: Vec<f64>,
    /// Cores the target was on.
    pub(crate) cores: Vec<f64>,
    /// The share of time in which the asking thread had something to do, whether or not it got a core.
    pub(crate) asking: Vec<f64>,
}

/// Loads every target in turn, again and again, a fresh process each time. The result is in the order of `targets`.
pub(crate) async fn measure(targets: &[Target], service: &Service) -> Result<Vec<Loads>> {
    let mut all: Vec<Loads> = targets.iter().map(|_| Loads::default()).collect();
    for _ in 0..REPEATS {
        for (target, loads) in targets.iter().zip(&mut all) {
            let wrong = |error| format!("{} under load: {error}", target.name);
            let mut process = target.spawn()?;
            start::first_answer(&mut process).await?;
            loads.negotiate.add(&process, Request::negotiation(), 200).await.map_err(wrong)?;
            let before = service.inbox().messages;
            let sent = loads.messages.add(&process, Request::message(), 202).await.map_err(wrong)?;
            let published = service.inbox().messages - before;
            if published != sent {
                return Err(format!("{} said {sent} times 202 and published {published}", target.name).into());
            }
            loads.after_mib.push(process.resident_kib()? / 1_024.0);
        }
    }
    Ok(all)
}

impl Load {
    /// Measures once more; the number of requests, those of the warm-up included.
    async fn add(&mut self, process: &Process, request: Request, status: u16) -> Result<u64> {
        let request = Arc::new(request);
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(process.port).await?);
        }
        let (connections, warm_up) = drive(connections, &request, status, WARM_UP).await?;

        let (begun, cpu, thread) = (Instant::now(), process.cpu_time()?, Scheduled::this_thread()?);
        let (_, requests) = drive(connections, &request, status, MEASURED).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        let cpu = process.cpu_time()?.saturating_sub(cpu).as_secs_f64();
        let asking = Scheduled::this_thread()?.busy_since(&thread);

        self.per_second.push(requests as f64 / elapsed);
        self.cpu_us.push(cpu * 1e6 / requests as f64);
        self.cores.push(cpu / elapsed);
        self.asking.push(asking.as_secs_f64() / elapsed);
        Ok(warm_up + requests)
    }
}

/// Asks `request` on all `connections` for `time`; gives them back with the number of answers. One wrong answer ends it.
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
            let mut answers = 0;
            while Instant::now() < end {
                let answer = connection.ask(request.as_bytes()).await.map_err(|error| error.to_string())?;
                if answer.status != status {
                    return Err(format!("status {}", answer.status));
                }
                answers += 1;
            }
            Ok((connection, answers))
        });
    }
    let mut connections = Vec::with_capacity(CONNECTIONS);
    let mut sum = 0;
    while let Some(ended) = clients.join_next().await {
        let (connection, answers): (_, u64) = ended??;
        connections.push(connection);
        sum += answers;
    }
    Ok((connections, sum))
}
