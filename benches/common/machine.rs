//! The line about the machine, without which no figure means anything.

use std::fs;
use std::process::Command;
use std::thread;

use jiff::Timestamp;

use super::Result;

/// The load average over one minute: how many threads wanted a core, ours included.
pub(crate) struct Load(String);

impl Load {
    /// As it is now.
    pub(crate) fn now() -> Result<Self> {
        let averages = fs::read_to_string("/proc/loadavg")
            .map_err(|error| format!("this is measured on Linux, which has /proc/loadavg: {error}"))?;
        Ok(Self(averages.split(' ').next().unwrap_or_default().to_owned()))
    }
}

/// Date, processor, cores, versions and load; `before` is the load when the run began.
pub(crate) fn describe(before: Load) -> Result<String> {
    let date = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let node = Command::new("node").arg("--version").output()?.stdout;
    Ok(format!(
        "{date}; {}, {cores} cores; Linux {}; Node {}; load average {} before, {} after",
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        String::from_utf8_lossy(&node).trim(),
        before.0,
        Load::now()?.0,
    ))
}
