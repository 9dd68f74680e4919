//! `chat emulator`: the SignalR service alone, for `func start` or for a project in any language.
//!
//! Its keys never stand on the command line, where everybody on the machine could read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use azure_http::RootCertificates;
use azure_signalr::ConnectionString;
use azure_signalr_emulator::{AccessKey, Emulator, Options, TemplateSource, UpstreamOptions};
use clap::Args;
use serverless_chat::config::{ConfigError, SIGNALR};
use serverless_chat::exit::ExitError;
use serverless_chat::shutdown;

use crate::announce;
use crate::local_stack;

/// How many keys a service has at most: the one in use, and the one that is to take its place.
const MOST_KEYS: usize = 2;

#[derive(Args)]
pub(crate) struct EmulatorArgs {
    /// Where it listens; 0 is any free port
    #[arg(long, default_value_t = 8888)]
    port: u16,
    /// One or two access keys, a line each [default: that of AzureSignalRConnectionString, else the official emulator's]
    #[arg(long, value_name = "FILE")]
    access_keys: Option<PathBuf>,
    /// Where events of clients go: upstream templates, as the official emulator has them. Read again when it changes
    #[arg(long, value_name = "FILE", default_value = "settings.json")]
    upstream: PathBuf,
    /// Most clients at a time; one more is answered 429
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// Let clients that a REST call closes connect again by themselves
    #[arg(long)]
    allow_reconnect: bool,
    /// Let no client take up its connection again after it has lost its socket
    #[arg(long)]
    no_stateful_reconnect: bool,
    /// Look at nothing but the signature of a token, as the official emulator does
    #[arg(long)]
    lenient: bool,
    /// Leave out /emulator/, which shows what the service sees, and makes it misbehave for a test
    #[arg(long)]
    no_control: bool,
}

/// Serves it until told to stop.
pub(crate) async fn run(
    alone: EmulatorArgs,
    signalr: Option<&ConnectionString>,
) -> Result<ExitCode, ExitError> {
    let mut options = Options::default();
    options.access_keys = match &alone.access_keys {
        Some(file) => keys_in(file)?,
        None => vec![key_of(signalr)?],
    };
    options.upstream = Some(UpstreamOptions::new(TemplateSource::File(alone.upstream), webhooks()?));
    options.max_connections = alone.max_connections.unwrap_or(options.max_connections);
    options.reconnect_after_close = alone.allow_reconnect;
    options.stateful_reconnect = !alone.no_stateful_reconnect;
    options.lenient = alone.lenient;
    options.control = !alone.no_control;
    let emulator = Emulator::new(options);
    let socket = local_stack::listen(alone.port, "--port").await?;
    let port = socket.port();
    let connection = emulator.connection_string(port);
    let asked = shutdown::signal();
    let mut addresses = format!("  SignalR     http://localhost:{port}\n  connection  {connection}");
    if !alone.no_control {
        addresses += &format!("\n  control     http://localhost:{port}/emulator/");
    }
    announce(&addresses, &format!("set {SIGNALR} to that connection string"));
    local_stack::serve_emulator(socket, emulator, asked).await.map_err(ExitError::other)?;
    Ok(ExitCode::SUCCESS)
}

/// What posts to the upstream: it follows no redirects, and uses no proxy.
fn webhooks() -> Result<reqwest::Client, ExitError> {
    azure_http::builder(&RootCertificates::default()).build().map_err(ExitError::other)
}

/// The key callers are configured with already.
fn key_of(signalr: Option<&ConnectionString>) -> Result<AccessKey, ExitError> {
    match signalr.map(ConnectionString::access_key) {
        Some(Some(key)) => AccessKey::new(key).map_err(ExitError::other),
        Some(None) => {
            let reason = "names an identity, and the emulator needs a key; take the setting away, or give it an AccessKey";
            Err(ExitError::Config(vec![ConfigError { name: SIGNALR, reason: reason.to_owned() }]))
        }
        None => Ok(AccessKey::default()),
    }
}

/// The keys of a file. What is wrong with it is said without what stands in it.
fn keys_in(file: &Path) -> Result<Vec<AccessKey>, ExitError> {
    let wrong = |what: &str| ExitError::Usage(format!("--access-keys {}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(&error.to_string()))?;
    let keys = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(AccessKey::new);
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(|error| wrong(&error.to_string()))?;
    if (1..=MOST_KEYS).contains(&keys.len()) {
        Ok(keys)
    } else {
        Err(wrong("one or two keys are wanted, a line each"))
    }
}
