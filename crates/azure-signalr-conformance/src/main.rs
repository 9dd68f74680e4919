//! `signalr-conformance`: arguments in, a table out.
//!
//! Exit codes: 0 when all that was run is emulated or known to differ, 1 when something is not, 64 for arguments that cannot be used.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use azure_signalr_conformance::{ConnectionString, Format, Known, Options, Selection, Upstream, run};
use clap::{Parser, ValueEnum};

const BAD_ARGUMENTS: u8 = 64;

/// Asks an Azure SignalR Service 91 numbered questions, and says how it answers.
#[derive(Parser)]
#[command(name = "signalr-conformance", version)]
struct Arguments {
    /// The service; in the environment rather than here, its key is in no list of processes
    #[arg(env = "AzureSignalRConnectionString", hide_env_values = true, value_name = "CONNECTION STRING")]
    connection_string: String,
    /// Which cases to run, like 24,45-60 [default: all]
    #[arg(long, value_name = "NUMBERS", default_value = "1-91", hide_default_value = true)]
    case: Selection,
    /// The list of what this service is known to do differently: lines `NUMBER = REASON`
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Listen here for webhooks; the service has to post to http://HOST:PORT/{hub}/{category}/{event}
    #[arg(long, value_name = "PORT")]
    upstream_port: Option<u16>,
    /// The name of this machine as the service sees it
    #[arg(long, value_name = "HOST", default_value = "localhost", requires = "upstream_port")]
    upstream_host: String,
    /// The settings file of the service: templates are written into it, and what was there is put back
    #[arg(long, value_name = "FILE", requires = "upstream_port")]
    upstream_settings: Option<PathBuf>,
    /// A shell command that restarts the service
    #[arg(long, value_name = "COMMAND")]
    restart_command: Option<String>,
    /// A folder node_modules with @microsoft/signalr and @microsoft/signalr-protocol-msgpack
    #[arg(long, value_name = "FOLDER")]
    node_modules: Option<PathBuf>,
    /// A Python with pysignalr and signalrcore
    #[arg(long, value_name = "EXECUTABLE")]
    python: Option<PathBuf>,
    /// Seconds to wait for what ought to come at once
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=600))]
    patience: u64,
    /// How many cases may run beside each other
    #[arg(long, value_name = "NUMBER", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=91))]
    at_once: u16,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    format: Written,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Written {
    #[default]
    Table,
    Markdown,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            // Help that was asked for is no mistake.
            let code = if told.use_stderr() { BAD_ARGUMENTS } else { 0 };
            let _ = told.print();
            return code.into();
        }
    };
    let format = match arguments.format {
        Written::Table => Format::Table,
        Written::Markdown => Format::Markdown,
        Written::Json => Format::Json,
    };
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => return refuse(&problem),
    };
    let progress = |row: &azure_signalr_conformance::Row| {
        let _ = writeln!(std::io::stderr(), "{:>2}  {}", row.number, row.outcome);
    };
    let report = match run(options, progress).await {
        Ok(report) => report,
        Err(problem) => return refuse(&problem),
    };
    let _ = std::io::stdout().write_all(report.write(format).as_bytes());
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(problem: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {problem}");
    BAD_ARGUMENTS.into()
}

fn options(arguments: Arguments) -> Result<Options, String> {
    let connection: ConnectionString = arguments.connection_string.parse()?;
    let known = match &arguments.known {
        Some(file) => known(file)?,
        None => Known::default(),
    };
    let upstream = arguments.upstream_port.map(|port| Upstream {
        host: arguments.upstream_host,
        port,
        settings: arguments.upstream_settings,
    });
    Ok(Options {
        cases: arguments.case,
        known,
        upstream,
        restart_command: arguments.restart_command,
        node_modules: arguments.node_modules,
        python: arguments.python,
        patience: Duration::from_secs(arguments.patience),
        at_once: arguments.at_once.into(),
        ..Options::new(connection)
    })
}

fn known(file: &std::path::Path) -> Result<Known, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.parse().map_err(|problem| format!("{}: {problem}", file.display()))
}
