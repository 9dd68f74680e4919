//! The command line of the emulator, for its own binary and for programs that have it as a subcommand.

use std::io;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::{AccessKey, AccessKeyFile, Emulator, LoopbackListener, Options, TemplateSource, UpstreamOptions};

/// The options of `azure-signalr-emulator`.
///
/// Access keys are read from a file, since every user of the machine can read a command line.
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// Port to listen on; 0 is any free port
    #[arg(long, default_value_t = 8888)]
    port: u16,
    /// One or two access keys, a line each; read again when the file changes [default: that of AzureSignalRConnectionString, else the official emulator's]
    #[arg(long, value_name = "FILE")]
    access_keys: Option<PathBuf>,
    /// Upstream templates in the form of the official emulator's settings file; read again when the file changes
    #[arg(long, value_name = "FILE", default_value = "settings.json")]
    upstream: PathBuf,
    /// Another host name that callers may use; repeatable [default: loopback names only]
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Most clients at a time; one more is answered 429
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// Let clients that a REST call closes connect again by themselves
    #[arg(long)]
    allow_reconnect: bool,
    /// Turn stateful reconnect off
    #[arg(long)]
    no_stateful_reconnect: bool,
    /// Check only the signature of a token, as the official emulator does
    #[arg(long)]
    lenient: bool,
    /// Leave out /emulator/, which shows the state of the service and injects faults for tests
    #[arg(long)]
    no_control: bool,
}

/// Why the emulator could not start, or ended without a signal.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An argument cannot be used.
    #[error("{0}")]
    Arguments(String),
    /// The port is taken, or cannot be bound for another reason.
    #[error("{0}")]
    Port(String),
    /// The server failed while it ran.
    #[error("{0}")]
    Serve(io::Error),
}

impl CliError {
    /// The exit code of the process, from `sysexits.h`: 64 for arguments, 69 for the port, else 70.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_) => 64,
            Self::Port(_) => 69,
            Self::Serve(_) => 70,
        }
    }
}

/// A runtime for [`run`], with one thread more than cores.
///
/// The writers of the emulator occupy as many threads as there are cores. One more takes requests meanwhile, so that their messages leave
/// together.
///
/// # Errors
///
/// If the system creates no event queue.
pub fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread().worker_threads(cores + 1).enable_all().build()
}

/// Runs the emulator on 127.0.0.1 and `[::1]` until `shutdown` completes.
///
/// Prints the address, the connection string and then a line that begins with `ready` to standard output. `default_key` signs
/// tokens where `--access-keys` names no file; `None` is the key of the official emulator.
///
/// ```no_run
/// use azure_signalr_emulator::cli::{self, CliError, EmulatorArgs};
/// use clap::Parser;
///
/// #[derive(Parser)]
/// struct Arguments {
///     #[command(flatten)]
///     emulator: EmulatorArgs,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), CliError> {
/// let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
/// cli::run(Arguments::parse().emulator, None, ctrl_c).await
/// # }
/// ```
///
/// # Errors
///
/// When an argument cannot be used, the port cannot be bound, or the server fails.
pub async fn run(
    args: EmulatorArgs,
    default_key: Option<AccessKey>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), CliError> {
    let access_keys_file = args.access_keys.map(AccessKeyFile::read).transpose();
    let defaults = Options::default();
    let emulator = Emulator::new(Options {
        access_keys: vec![default_key.unwrap_or_default()],
        access_keys_file: access_keys_file.map_err(|error| CliError::Arguments(format!("--access-keys {error}")))?,
        upstream: Some(UpstreamOptions::new(TemplateSource::File(args.upstream))),
        allowed_hosts: args.hosts,
        max_connections: args.max_connections.unwrap_or(defaults.max_connections),
        reconnect_after_close: args.allow_reconnect,
        stateful_reconnect: !args.no_stateful_reconnect,
        lenient: args.lenient,
        control: !args.no_control,
        ..defaults
    });
    let listener = LoopbackListener::bind(args.port).await.map_err(|error| bind_error(args.port, &error))?;
    announce(&emulator, listener.port(), !args.no_control);
    emulator.serve(listener.into_listeners(), shutdown).await.map_err(CliError::Serve)
}

/// Prints where the service is. Programs wait for the line that begins with `ready`.
fn announce(emulator: &Emulator, port: u16, has_control: bool) {
    let address = format!("http://localhost:{port}");
    let control = if has_control { format!("\n  control     {address}/emulator/") } else { String::new() };
    let connection = emulator.connection_string(port);
    let text = format!(
        "\n  SignalR     {address}\n  connection  {connection}{control}\n\n\
        ready: set AzureSignalRConnectionString to that connection string, Ctrl-C to stop"
    );
    // Does not wait for the output, which may be closed.
    text.lines().for_each(|line| log_writer::stdout().write_line(line));
}

fn bind_error(port: u16, error: &io::Error) -> CliError {
    CliError::Port(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is taken: end what listens there, or choose another with --port")
        }
        _ => format!("cannot listen on port {port} of localhost: choose another with --port: {error}"),
    })
}
