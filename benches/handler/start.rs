//! How long a target takes from its start to its first answers, and what memory it then has.
//!
//! The Functions host asks `/` until somebody answers, and only then forwards what waits. So do we: the token is asked for after that.

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::common::http::Connection;
use crate::common::process::Process;
use crate::request::Request;
use crate::target::Target;

/// Rounds that count, after [`WARM_UP`] that do not: by then files are in the page cache.
const ROUNDS: usize = 40;
const WARM_UP: usize = 3;

/// Between two knocks. Short beside any start, and long enough to leave the core to the one that starts.
const PAUSE: Duration = Duration::from_micros(50);

/// What takes longer does not work.
const PATIENCE: Duration = Duration::from_secs(10);

/// The starts of one target, a value per round.
#[derive(Default)]
pub(crate) struct Starts {
    /// Milliseconds from before the process was made to the first answer to `GET /`.
    pub(crate) answer_ms: Vec<f64>,
    /// The same to the first token.
    pub(crate) token_ms: Vec<f64>,
    /// Of that, how many its threads were on a core, which a busy machine changes least.
    pub(crate) cpu_ms: Vec<f64>,
    /// Resident MiB right after that.
    pub(crate) idle_mib: Vec<f64>,
}

/// Starts every target in turn, again and again. The result is in the order of `targets`.
pub(crate) async fn measure(targets: &[Target]) -> Result<Vec<Starts>> {
    let mut all: Vec<Starts> = targets.iter().map(|_| Starts::default()).collect();
    for round in 0..WARM_UP + ROUNDS {
        for (target, starts) in targets.iter().zip(&mut all) {
            let start = once(target).await?;
            if round >= WARM_UP {
                starts.answer_ms.push(milliseconds(start.answered));
                starts.token_ms.push(milliseconds(start.negotiated));
                starts.cpu_ms.push(milliseconds(start.cpu));
                starts.idle_mib.push(start.resident_mib);
            }
        }
    }
    Ok(all)
}

/// One start.
struct Start {
    answered: Duration,
    negotiated: Duration,
    cpu: Duration,
    resident_mib: f64,
}

async fn once(target: &Target) -> Result<Start> {
    let negotiation = Request::negotiation();
    let begun = Instant::now();
    let mut process = target.spawn()?;
    first_answer(&mut process).await?;
    let answered = begun.elapsed();
    let mut connection = Connection::open(process.port).await?;
    let status = connection.ask(negotiation.as_bytes()).await?.status;
    let negotiated = begun.elapsed();
    if status != 200 {
        return Err(format!("{} answered {status} instead of a token", target.name).into());
    }
    let resident_mib = process.resident_kib()? / 1_024.0;
    Ok(Start { answered, negotiated, cpu: process.cpu_time()?, resident_mib })
}

/// Knocks until `process` answers `GET /`.
pub(crate) async fn first_answer(process: &mut Process) -> Result<()> {
    let probe = Request::probe();
    let begun = Instant::now();
    loop {
        if let Ok(mut connection) = Connection::open(process.port).await
            && connection.ask(probe.as_bytes()).await.is_ok_and(|answer| answer.status == 200)
        {
            return Ok(());
        }
        if process.has_ended()? || begun.elapsed() > PATIENCE {
            return Err("it does not answer `GET /`".into());
        }
        // The runtime's own timer is no finer than a millisecond, and nothing else runs on this thread.
        thread::sleep(PAUSE);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
