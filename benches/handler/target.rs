//! What is measured: how each target is started.
//!
//! All get the same settings, those the Functions host sets with authentication on, and nothing else of our environment. Their output
//! goes nowhere.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::common::process::Process;
use crate::floor::{self, Recording};
use crate::server::Service;

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
        Ok(Process::new(child, port))
    }
}
