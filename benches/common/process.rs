//! What the kernel says of a process and its threads. It says so on Linux only.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use super::Result;

/// A process that runs. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    /// Where it listens on 127.0.0.1.
    pub(crate) port: u16,
}

impl Process {
    /// Takes charge of `child`, which listens on `port` now or soon.
    pub(crate) fn new(child: Child, port: u16) -> Self {
        Self { child, port }
    }

    /// Whether it has ended by itself, which no target should.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Memory of it that is in RAM now, in KiB. Pages of its file that others use as well count too.
    pub(crate) fn resident_kib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("the kernel does not tell VmRSS")?.parse()?)
    }

    /// The time its threads have been on a core so far. Of a thread that has ended, the kernel tells nothing any more.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let scheduled = threads.filter_map(|thread| Scheduled::read(&thread.ok()?.path()).ok());
        Ok(scheduled.map(|thread| thread.running).sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the scheduler did with a thread so far.
pub(crate) struct Scheduled {
    /// On a core.
    running: Duration,
    /// Ready, but every core was taken.
    waiting: Duration,
}

impl Scheduled {
    /// The thread that asks.
    pub(crate) fn this_thread() -> Result<Self> {
        Self::read(Path::new("/proc/thread-self"))
    }

    /// How long the thread has had something to do since `before`, whether or not it got a core.
    pub(crate) fn busy_since(&self, before: &Self) -> Duration {
        self.running + self.waiting - before.running - before.waiting
    }

    /// Contract: `Documentation/scheduler/sched-stats.rst` of Linux, the part about `/proc/<pid>/schedstat`.
    fn read(thread: &Path) -> Result<Self> {
        let numbers = fs::read_to_string(thread.join("schedstat"))?;
        let mut numbers = numbers.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
        let mut next = || numbers.next().ok_or("the kernel does not tell how it schedules");
        Ok(Self { running: next()??, waiting: next()?? })
    }
}
