//! Pins the target and the load generator to a core each, with `taskset` of util-linux.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use super::Result;

/// The core of the target and that of the load generator.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) target: usize,
    /// `None` if this process may use one core only: nothing is pinned then.
    pub(crate) load_generator: Option<usize>,
    /// Whether the target may use both cores.
    pub(crate) is_shared: bool,
}

impl Cores {
    /// The first two cores that this process may use. Call it before anything is pinned.
    pub(crate) fn allowed() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let mut cores = parse_list(list.ok_or("/proc/self/status has no Cpus_allowed_list")?)?.into_iter();
        Ok(Self {
            target: cores.next().ok_or("this process may use no core")?,
            load_generator: cores.next(),
            is_shared: false,
        })
    }

    /// Pins the calling thread, and those that it creates later, to the core of the load generator.
    pub(crate) fn pin_load_generator(self) -> Result<()> {
        self.load_generator.map_or(Ok(()), |core| pin_thread(&core.to_string()))
    }

    /// Creates a process on the core of the target. Returns it with the time from before it was created.
    ///
    /// A process has the cores of the thread that creates it, so `taskset` is not part of its start.
    pub(crate) fn spawn(self, command: &mut Command) -> Result<(Child, Instant)> {
        let spawned = thread::scope(|scope| {
            let create = || {
                if let Some(other) = self.load_generator {
                    let target = self.target;
                    let cores = if self.is_shared { format!("{target},{other}") } else { target.to_string() };
                    pin_thread(&cores).map_err(|error| error.to_string())?;
                }
                let start = Instant::now();
                let child = command.spawn();
                let child =
                    child.map_err(|error| format!("{} cannot be started: {error}", command.get_program().display()))?;
                Ok((child, start))
            };
            scope.spawn(create).join()
        });
        spawned.unwrap_or_else(|_| Err("the thread that starts a process has panicked".to_owned())).map_err(Into::into)
    }
}

/// Parses a list of cores such as `0-1,4`.
fn parse_list(list: &str) -> Result<Vec<usize>> {
    let mut cores = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend(first.parse::<usize>()?..=last.parse()?);
    }
    Ok(cores)
}

/// Pins the calling thread to a list of cores.
fn pin_thread(cores: &str) -> Result<()> {
    let thread = fs::read_link("/proc/thread-self")?;
    let id = thread.file_name().ok_or("/proc/thread-self names no thread")?;
    let mut taskset = Command::new("taskset");
    let status = taskset.args(["--pid", "--cpu-list", cores]).arg(id).stdout(Stdio::null()).status();
    let status = status.map_err(|error| format!("the benchmarks need taskset of util-linux: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("taskset cannot pin a thread to core {cores}").into()) }
}
