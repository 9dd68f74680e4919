//! `chat emulator`: runs the SignalR emulator without the rest of the stack.
//!
//! Keys are not command-line options, which every user of the machine could read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use azure_http::RootCertificates;
use azure_signalr::ConnectionString;
use azure_signalr_emulator::{AccessKey, Emulator, Options, TemplateSource, UpstreamOptions};
use clap::Args;
use serverless_chat::config::{Problem, SIGNALR};
use serverless_chat::exit::ExitError;
use serverless_chat::shutdown;

use crate::local_stack::{self, announce};

/// A service has a primary and a secondary key.
const MAX_KEYS: usize = 2;

#[derive(Args)]
pub(crate) struct EmulatorArgs {
    /// Port to listen on; 0 is any free port
    #[arg(long, default_value_t = 8888)]
    port: u16,
    /// One or two access keys, a line each [default: that of AzureSignalRConnectionString, else the official emulator's]
    #[arg(long, value_name = "FILE")]
    access_keys: Option<PathBuf>,
    /// Upstream templates for events of clients, as in the official emulator; read again when the file changes
    #[arg(long, value_name = "FILE", default_value = "settings.json")]
    upstream: PathBuf,
    /// Maximum number of clients; further ones get 429
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// Let clients reconnect automatically after a REST call closed their connection
    #[arg(long)]
    allow_reconnect: bool,
    /// Turn off stateful reconnect
    #[arg(long)]
    no_stateful_reconnect: bool,
    /// Check only the signature of tokens, as the official emulator does
    #[arg(long)]
    lenient: bool,
    /// Turn off /emulator/, which shows traffic and injects faults for tests
    #[arg(long)]
    no_control: bool,
}

/// Serves the emulator until a stop signal.
pub(crate) async fn run(
    arguments: EmulatorArgs,
    signalr: Option<&ConnectionString>,
) -> Result<ExitCode, ExitError> {
    let mut options = Options::default();
    options.access_keys = match &arguments.access_keys {
        Some(file) => keys_in(file)?,
        None => vec![key_of(signalr)?],
    };
    options.upstream = Some(UpstreamOptions::new(TemplateSource::File(arguments.upstream), webhooks()?));
    options.max_connections = arguments.max_connections.unwrap_or(options.max_connections);
    options.reconnect_after_close = arguments.allow_reconnect;
    options.stateful_reconnect = !arguments.no_stateful_reconnect;
    options.lenient = arguments.lenient;
    options.control = !arguments.no_control;
    let emulator = Emulator::new(options);
    let socket = local_stack::listen(arguments.port, "--port").await?;
    let port = socket.port();
    let connection = emulator.connection_string(port);
    let stop = shutdown::asked();
    let mut addresses = format!("  SignalR     http://localhost:{port}\n  connection  {connection}");
    if !arguments.no_control {
        addresses += &format!("\n  control     http://localhost:{port}/emulator/");
    }
    announce(&addresses, &format!("set {SIGNALR} to that connection string"));
    local_stack::serve_emulator(socket, emulator, stop).await.map_err(ExitError::other)?;
    Ok(ExitCode::SUCCESS)
}

/// The HTTP client for upstreams: no redirects, no proxy.
fn webhooks() -> Result<reqwest::Client, ExitError> {
    azure_http::builder(&RootCertificates::default()).build().map_err(ExitError::other)
}

/// The key in the connection string, else that of the official emulator.
fn key_of(signalr: Option<&ConnectionString>) -> Result<AccessKey, ExitError> {
    match signalr.map(ConnectionString::access_key) {
        Some(Some(key)) => AccessKey::new(key).map_err(ExitError::other),
        Some(None) => {
            let reason = "names an identity, and the emulator needs a key; remove the setting, or give it an AccessKey";
            Err(ExitError::Config(vec![Problem { name: SIGNALR, reason: reason.to_owned() }]))
        }
        None => Ok(AccessKey::default()),
    }
}

/// Reads the keys of a file. Errors do not repeat its text.
fn keys_in(file: &Path) -> Result<Vec<AccessKey>, ExitError> {
    let invalid = |what: &str| ExitError::Usage(format!("--access-keys {}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| invalid(&error.to_string()))?;
    let keys = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(AccessKey::new);
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(|error| invalid(&error.to_string()))?;
    if (1..=MAX_KEYS).contains(&keys.len()) {
        Ok(keys)
    } else {
        Err(invalid("expected one or two keys, one per line"))
    }
}
