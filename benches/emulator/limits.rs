//! Whether this machine lets one process have as many sockets as there are clients.
//!
//! The limit is passed on to the processes that are started, so looking at our own is enough.

use std::fs;

use crate::Result;
use crate::clients::CLIENTS;

/// Open files of a process beside its clients' sockets: its own libraries, pipes, timers, the callers.
const OTHERS: usize = 100;

/// Says what to do if there are too few.
pub(crate) fn check() -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most =
        line.and_then(|line| line.split_whitespace().next()).ok_or("the kernel does not tell its limits")?;
    let needed = CLIENTS + OTHERS;
    // `unlimited` is enough as well.
    if most.parse::<usize>().is_ok_and(|most| most < needed) {
        return Err(format!(
            "{CLIENTS} clients need {needed} open files in one process, and {most} are allowed here; `ulimit -n {needed}` raises that"
        )
        .into());
    }
    Ok(())
}
