//! Memory and CPU time of a process and its threads, from `/proc` of Linux.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::Result;

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    /// The port of 127.0.0.1 on which it listens.
    pub(crate) port: u16,
}

impl Process {
    /// Wraps `child`, which listens on `port` now or soon.
    pub(crate) fn new(child: Child, port: u16) -> Self {
        Self { child, port }
    }

    /// Whether the process has exited.
    pub(crate) fn has_exited(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks the process to end with SIGTERM, waits until it has, and returns its standard error, which must be a pipe.
    pub(crate) fn terminate(mut self) -> Result<String> {
        let id = self.child.id().to_string();
        if !Command::new("kill").args(["-TERM", &id]).status()?.success() {
            return Err("a process cannot be asked to end".into());
        }
        let mut output = String::new();
        let mut stderr = self.child.stderr.take().ok_or("a process has no standard error")?;
        stderr.read_to_string(&mut output)?;
        self.child.wait()?;
        Ok(output)
    }

    /// The resident memory in KiB, including file pages that it shares with other processes.
    pub(crate) fn resident_kib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("/proc/<pid>/status has no VmRSS")?.parse()?)
    }

    /// The CPU time of its threads so far, without threads that have exited.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let stats = threads.filter_map(|thread| SchedStat::read(&thread.ok()?.path()).ok());
        Ok(stats.map(|thread| thread.running).sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A measurement that is under way: time, and CPU time of a process and of the calling thread at its start.
pub(crate) struct Measurement<'a> {
    process: &'a Process,
    start: Instant,
    cpu: Duration,
    thread: SchedStat,
}

/// The result of a measurement.
pub(crate) struct Usage {
    /// In seconds.
    pub(crate) elapsed: f64,
    /// The CPU time of the process, in seconds.
    pub(crate) cpu: f64,
    /// The share of time in which the calling thread was running or runnable.
    pub(crate) load_generator_busy: f64,
}

impl<'a> Measurement<'a> {
    pub(crate) fn start(process: &'a Process) -> Result<Self> {
        let (cpu, thread) = (process.cpu_time()?, SchedStat::this_thread()?);
        Ok(Self { process, start: Instant::now(), cpu, thread })
    }

    pub(crate) fn finish(self) -> Result<Usage> {
        let elapsed = self.start.elapsed().as_secs_f64();
        let cpu = self.process.cpu_time()?.saturating_sub(self.cpu).as_secs_f64();
        let busy = SchedStat::this_thread()?.busy_since(&self.thread).as_secs_f64();
        Ok(Usage { elapsed, cpu, load_generator_busy: busy / elapsed })
    }
}

/// The run and wait times of a thread so far.
struct SchedStat {
    /// The time on a core.
    running: Duration,
    /// The time in which the thread was runnable but had no core.
    waiting: Duration,
}

impl SchedStat {
    /// The times of the calling thread.
    fn this_thread() -> Result<Self> {
        Self::read(Path::new("/proc/thread-self"))
    }

    /// The time since `before` in which the thread was running or runnable.
    fn busy_since(&self, before: &Self) -> Duration {
        self.running + self.waiting - before.running - before.waiting
    }

    /// Specification: `Documentation/scheduler/sched-stats.rst` of Linux, the part about `/proc/<pid>/schedstat`.
    fn read(thread: &Path) -> Result<Self> {
        let numbers = fs::read_to_string(thread.join("schedstat"))?;
        let mut numbers = numbers.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
        let mut next = || numbers.next().ok_or("/proc/<pid>/schedstat has no times");
        Ok(Self { running: next()??, waiting: next()?? })
    }
}
