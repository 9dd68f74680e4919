//! What is measured: how each target is started, and what the kernel says of its process.
//!
//! All get the same settings, those the Functions host sets with authentication on, and nothing else of our environment. Their output
//! goes nowhere.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::floor::{self, Recording};
use crate::service::Service;

/// A handler that can be started.
pub(crate) struct Target {
    /// What tables call it.
    pub(crate) name: &'static str,
    program: String,
    arguments: Vec<String>,
    settings: Vec<(&'static str, String)>,
}

impl Target {
    /// The handler itself, at `path`.
    pub(crate) fn handler(path: &Path, service: &Service) -> Self {
        Self::new("handler", &path.to_string_lossy(), &[], service)
    }

    /// This very executable as the floor, which gives the answers of `recording`.
    pub(crate) fn floor(service: &Service, recording: &Recording) -> Result<Self> {
        let this = env::current_exe()?;
        let mut floor = Self::new("floor: hyper, no work", &this.to_string_lossy(), &["floor"], service);
        floor.settings.push((floor::RECORDING, serde_json::to_string(recording)?));
        Ok(floor)
    }

    /// The peer in Node.
    pub(crate) fn node(service: &Service) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/handler.mjs");
        Self::new("Node: node:http", "node", &[script], service)
    }

    fn new(name: &'static str, program: &str, arguments: &[&str], service: &Service) -> Self {
        let settings = vec![
            ("AzureSignalRConnectionString", service.connection_string()),
            ("WEBSITE_AUTH_ENABLED", "true".to_owned()),
            ("PATH", env::var("PATH").unwrap_or_default()),
        ];
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { name, program: program.to_owned(), arguments, settings }
    }

    /// Starts it; it need not listen yet when this returns.
    pub(crate) fn spawn(&self) -> Result<Process> {
        // Free now; nobody else is likely to be given it within the milliseconds until it is used.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.program))?;
        Ok(Process { child, port })
    }
}

/// A target that runs. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    /// Where it listens on 127.0.0.1.
    pub(crate) port: u16,
}

impl Process {
    /// Whether it has ended by itself, which no target should.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Memory of it that is in RAM now, in MiB. Pages of its file that others use as well count too.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("the kernel does not tell VmRSS")?.parse::<f64>()? / 1_024.0)
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
    pub(crate) running: Duration,
    /// Ready, but every core was taken.
    pub(crate) waiting: Duration,
}

impl Scheduled {
    /// The thread that asks.
    pub(crate) fn this_thread() -> Result<Self> {
        Self::read(Path::new("/proc/thread-self"))
    }

    /// Contract: `Documentation/scheduler/sched-stats.rst` of Linux, the part about `/proc/<pid>/schedstat`.
    fn read(thread: &Path) -> Result<Self> {
        let numbers = fs::read_to_string(thread.join("schedstat"))?;
        let mut numbers = numbers.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
        let mut next = || numbers.next().ok_or("the kernel does not tell how it schedules");
        Ok(Self { running: next()??, waiting: next()?? })
    }
}
