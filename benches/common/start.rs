//! Waits until a process that has just been created answers its first request.

use std::thread;
use std::time::{Duration, Instant};

use super::Result;
use super::http::Connection;
use super::process::Process;

/// The time between two probes: short compared with any start, but long enough to leave the core to the target.
const PROBE_INTERVAL: Duration = Duration::from_micros(50);

/// The longest wait for the first response: a start under callgrind takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends `probe` on a new connection, repeatedly, until `process` answers it with 200.
pub(crate) async fn wait_for_response(process: &mut Process, probe: &[u8]) -> Result<()> {
    let start = Instant::now();
    loop {
        if let Ok(mut connection) = Connection::open(process.port).await
            && connection.send(probe, 200).await.is_ok()
        {
            return Ok(());
        }
        if process.has_exited()? || start.elapsed() > START_TIMEOUT {
            return Err("it does not respond to its first request".into());
        }
        // Tokio's timer has a resolution of 1 ms, and nothing else runs on this thread.
        thread::sleep(PROBE_INTERVAL);
    }
}
