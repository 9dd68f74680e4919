//! The targets of the benchmark: how each is started, and the requests that all receive.
//!
//! All get the settings that the Functions host sets with authentication on, and no other environment. Their output is discarded.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::Result;
use crate::common::process::Process;
use crate::minimal_server::{self, Recording};
use crate::server::SignalRService;

/// A handler that can be started.
pub(crate) struct Target {
    /// The name in the tables.
    pub(crate) name: &'static str,
    program: String,
    arguments: Vec<String>,
    settings: Vec<(&'static str, String)>,
}

impl Target {
    /// The handler at `path`.
    pub(crate) fn handler(path: &Path, service: &SignalRService) -> Self {
        Self::new("handler", &path.to_string_lossy(), &[], service)
    }

    /// This executable as the floor, which sends the responses of `recording`.
    pub(crate) fn floor(service: &SignalRService, recording: &Recording) -> Result<Self> {
        let this = env::current_exe()?;
        let mut floor = Self::new("floor: hyper, no work", &this.to_string_lossy(), &["floor"], service);
        floor.settings.push((minimal_server::RECORDING, serde_json::to_string(recording)?));
        Ok(floor)
    }

    /// The same routes in Node.
    pub(crate) fn node(service: &SignalRService) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/handler.mjs");
        Self::new("Node: node:http", "node", &[script], service)
    }

    fn new(name: &'static str, program: &str, arguments: &[&str], service: &SignalRService) -> Self {
        let settings = vec![
            ("AzureSignalRConnectionString", service.connection_string()),
            ("WEBSITE_AUTH_ENABLED", "true".to_owned()),
            ("ChatMessageRate", "0".to_owned()),
            ("PATH", env::var("PATH").unwrap_or_default()),
        ];
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { name, program: program.to_owned(), arguments, settings }
    }

    /// The command that starts the process, and the port on which it will listen.
    pub(crate) fn command(&self) -> Result<(Command, u16)> {
        // The port is free now, and unlikely to be assigned again before the target listens.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok((command, port))
    }

    /// Starts the process. It may not listen yet when this returns.
    pub(crate) fn spawn(&self) -> Result<Process> {
        self.spawn_with([])
    }

    /// Starts the process with more settings.
    pub(crate) fn spawn_with(&self, settings: impl IntoIterator<Item = (&'static str, String)>) -> Result<Process> {
        let (mut command, port) = self.command()?;
        command.envs(settings);
        let child = command.spawn().map_err(|error| format!("{} cannot be started: {error}", self.program))?;
        Ok(Process::new(child, port))
    }
}

/// The user in the header of Easy Auth.
pub(crate) const USER: &str = "alice@contoso.com";

/// The text of every message.
pub(crate) const TEXT: &str = "Good morning, everyone! Shall we meet at ten, or is eleven better?";

const USER_HEADER: &str = "X-MS-CLIENT-PRINCIPAL-NAME";
const INVOCATION_HEADER: &str = "X-Azure-Functions-InvocationId";
const INVOCATION_ID: &str = "0b8d1c52-6d0e-4f3a-9c1b-2f6f5a1e7d34";

/// The bytes of a request, head and body.
pub(crate) struct Request(String);

impl Request {
    /// The probe of the Functions host.
    pub(crate) fn probe() -> Self {
        Self("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned())
    }

    /// `POST /api/negotiate`, as the page calls it.
    pub(crate) fn negotiation() -> Self {
        Self::post("/api/negotiate?negotiateVersion=1", "")
    }

    /// `POST /api/messages` to everyone.
    pub(crate) fn message() -> Self {
        Self::post("/api/messages", &json!({ "text": TEXT, "recipient": null }).to_string())
    }

    /// `GET path` by [`USER`], with the headers that the platform adds.
    pub(crate) fn get(path: &str) -> Self {
        Self(format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{INVOCATION_HEADER}: {INVOCATION_ID}\r\n{USER_HEADER}: {USER}\r\n\r\n"
        ))
    }

    /// `POST path` by [`USER`] with a JSON or empty `body`, and the headers that the platform adds.
    fn post(path: &str, body: &str) -> Self {
        let content_type = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let platform = format!("{INVOCATION_HEADER}: {INVOCATION_ID}\r\n{USER_HEADER}: {USER}\r\n");
        Self(format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{platform}{content_type}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
