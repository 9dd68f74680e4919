//! What is measured, and how it is started.
//!
//! A target says on standard output where it listens, then `ready`. It gets nothing of our environment, so its settings are those
//! it has by itself. What it logs after that is read and thrown away.

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::Result;
use crate::common::process::Process;
use crate::service::Service;

/// What a client says in its handshake.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Json,
    MessagePack,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }
}

/// A service that can be started.
pub(crate) struct Target {
    /// What tables call it.
    pub(crate) name: &'static str,
    /// What its clients speak.
    pub(crate) protocol: Protocol,
    program: PathBuf,
    arguments: &'static [&'static str],
}

impl Target {
    /// The emulator of the handler at `path`.
    pub(crate) fn emulator(path: &Path, protocol: Protocol) -> Self {
        let name = match protocol {
            Protocol::Json => "emulator, JSON",
            Protocol::MessagePack => "emulator, MessagePack",
        };
        Self { name, protocol, program: path.to_owned(), arguments: &["emulator", "--port", "0"] }
    }

    /// This very executable as the floor.
    pub(crate) fn floor() -> Result<Self> {
        let program = env::current_exe()?;
        Ok(Self { name: "floor: frames by heart", protocol: Protocol::Json, program, arguments: &["floor"] })
    }

    /// Starts it, and waits until it says that it is ready.
    pub(crate) fn start(&self) -> Result<Service> {
        let mut child = Command::new(&self.program)
            .args(self.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", self.program.display()))?;
        let output = child.stdout.take().ok_or("a target has no output")?;
        let mut output = BufReader::new(output);
        let (mut port, mut key) = (None, None);
        let mut line = String::new();
        while !line.starts_with("ready") {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                break;
            }
            port =
                port.or(line.split_once("http://localhost:").and_then(|(_, port)| port.trim().parse().ok()));
            key = key.or(line
                .split_once("AccessKey=")
                .and_then(|(_, rest)| Some(rest.split_once(';')?.0.to_owned())));
        }
        let Some(port) = port else {
            child.kill()?;
            child.wait()?;
            return Err(format!("{} does not say where it listens", self.name).into());
        };
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Ok(Service { process: Process::new(child, port), key })
    }
}
