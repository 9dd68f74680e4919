//! Measures the time from the start of a target to its first responses, and its memory after that.
//!
//! Like the Functions host, it probes `GET /` until the target responds, and only then sends a negotiation.

use std::time::{Duration, Instant};

use crate::common::Result;
use crate::common::http::Connection;
use crate::common::start::wait_for_response;
use crate::target::{Request, Target};

/// Measured rounds, after [`WARM_UP_ROUNDS`] that fill the page cache.
const ROUNDS: usize = 40;
const WARM_UP_ROUNDS: usize = 3;

/// The starts of one target, one value per round.
#[derive(Default)]
pub(crate) struct Starts {
    /// Milliseconds from before the process was created to the first response to `GET /`.
    pub(crate) response_ms: Vec<f64>,
    /// Milliseconds to the first token.
    pub(crate) token_ms: Vec<f64>,
    /// CPU time of the target until then, which depends least on other load.
    pub(crate) cpu_ms: Vec<f64>,
    /// Resident memory in MiB right after that.
    pub(crate) idle_mib: Vec<f64>,
}

/// Starts all targets in turn, repeatedly. The result is in the order of `targets`.
pub(crate) async fn measure(targets: &[Target]) -> Result<Vec<Starts>> {
    let mut all: Vec<Starts> = targets.iter().map(|_| Starts::default()).collect();
    for round in 0..WARM_UP_ROUNDS + ROUNDS {
        for (target, starts) in targets.iter().zip(&mut all) {
            if round < WARM_UP_ROUNDS {
                Starts::default().add(target).await?;
            } else {
                starts.add(target).await?;
            }
        }
    }
    Ok(all)
}

impl Starts {
    async fn add(&mut self, target: &Target) -> Result<()> {
        let negotiation = Request::negotiation();
        let start = Instant::now();
        let mut process = target.spawn()?;
        wait_for_response(&mut process, Request::probe().as_bytes()).await?;
        let responded = start.elapsed();
        let mut connection = Connection::open(process.port).await?;
        connection.send(negotiation.as_bytes(), 200).await.map_err(|error| format!("{}: {error}", target.name))?;
        self.token_ms.push(milliseconds(start.elapsed()));
        self.response_ms.push(milliseconds(responded));
        self.idle_mib.push(process.resident_kib()? / 1_024.0);
        self.cpu_ms.push(milliseconds(process.cpu_time()?));
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
