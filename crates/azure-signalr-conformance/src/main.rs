//! The binary `signalr-conformance`: runs the suite and prints the report.
//!
//! Exit codes: 0 when every case that was run passed or is known to differ, 1 otherwise, 64 for invalid arguments, 74 when the JUnit
//! file cannot be written, 130 after Ctrl-C or SIGTERM.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use azure_signalr_conformance::{
    CaseInfo, CaseReport, CaseSelection, ConnectionString, Format, KnownDifferences, Options, UpstreamOptions, run,
};
use clap::{Parser, ValueEnum};

const EXIT_USAGE: u8 = 64;
const EXIT_IO_ERROR: u8 = 74;
const EXIT_INTERRUPTED: u8 = 130;

/// The length of the longest id, for columns.
const ID_WIDTH: usize = 28;

/// Runs 110 conformance cases against an Azure SignalR Service
#[derive(Parser)]
#[command(name = "signalr-conformance", version)]
struct Arguments {
    /// The service under test. An argument is visible to other processes; prefer the environment variable
    #[arg(
        env = "AzureSignalRConnectionString",
        hide_env_values = true,
        value_name = "CONNECTION STRING",
        required_unless_present = "list"
    )]
    connection_string: Option<String>,
    /// The cases to run by number or id, like 24,45-60,health [default: all]
    #[arg(long, value_name = "CASES", default_value = "1-110", hide_default_value = true)]
    case: CaseSelection,
    /// Print the number, id and title of the cases and exit
    #[arg(long)]
    list: bool,
    /// A list of cases that this service is known to fail: lines `CASE = REASON`
    #[arg(long, value_name = "FILE")]
    known_differences: Option<PathBuf>,
    /// Receive webhooks on this port; the service must post to http://HOST:PORT/{hub}/{category}/{event}
    #[arg(long, value_name = "PORT")]
    upstream_port: Option<u16>,
    /// The name of this machine as the service sees it
    #[arg(long, value_name = "HOST", default_value = "localhost", requires = "upstream_port")]
    upstream_host: String,
    /// The settings file of the service; the suite writes templates into it and puts its content back in any case
    #[arg(long, value_name = "FILE", requires = "upstream_port")]
    upstream_settings: Option<PathBuf>,
    /// The number of connections that the service allows at a time; the suite opens as many
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<usize>,
    /// A shell command that restarts the service
    #[arg(long, value_name = "COMMAND")]
    restart_command: Option<String>,
    /// A folder node_modules with @microsoft/signalr and @microsoft/signalr-protocol-msgpack
    #[arg(long, value_name = "FOLDER")]
    node_modules: Option<PathBuf>,
    /// A Python interpreter with pysignalr and signalrcore
    #[arg(long, value_name = "EXECUTABLE")]
    python: Option<PathBuf>,
    /// The maximum time for an event that should happen at once
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// The maximum number of cases that run at the same time
    #[arg(long, value_name = "NUMBER", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=110))]
    concurrency: u16,
    /// The format of the report
    #[arg(long, value_enum, default_value = "table")]
    format: FormatArgument,
    /// Write the report as JUnit XML into a file too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArgument {
    Table,
    Markdown,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            // `--help` and `--version` go to standard output and are not errors.
            let code = if message.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = message.print();
            return code.into();
        }
    };
    if arguments.list {
        let list = arguments.case.cases().iter().fold(String::new(), |list, CaseInfo { number, id, title }| {
            list + &format!("{number:>3}  {id:<ID_WIDTH$}  {title}\n")
        });
        let _ = std::io::stdout().write_all(list.as_bytes());
        return ExitCode::SUCCESS;
    }
    let format = match arguments.format {
        FormatArgument::Table => Format::Table,
        FormatArgument::Markdown => Format::Markdown,
        FormatArgument::Json => Format::Json,
    };
    let junit_file = arguments.junit.clone();
    let options = match options(arguments) {
        Ok(options) => options,
        Err(error) => return usage_error(&error),
    };
    let print_progress = |case: &CaseReport| {
        let _ = writeln!(std::io::stderr(), "{:>3}  {:<ID_WIDTH$}  {}", case.info.number, case.info.id, case.outcome);
    };
    let report = tokio::select! {
        // First, so that signals are caught before the run changes anything. Dropping the run puts that back.
        biased;
        () = interrupted() => return EXIT_INTERRUPTED.into(),
        report = run(options, print_progress) => report,
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => return usage_error(&error),
    };
    let _ = std::io::stdout().write_all(report.render(format).as_bytes());
    if let Some(file) = junit_file
        && let Err(error) = std::fs::write(&file, report.render(Format::Junit))
    {
        return exit_with(EXIT_IO_ERROR, &format!("{}: {error}", file.display()));
    }
    if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits for Ctrl-C, or for SIGTERM where there is one.
async fn interrupted() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

fn usage_error(error: &str) -> ExitCode {
    exit_with(EXIT_USAGE, error)
}

fn exit_with(code: u8, error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    code.into()
}

fn options(arguments: Arguments) -> Result<Options, String> {
    let connection: ConnectionString = arguments.connection_string.unwrap_or_default().parse()?;
    let known_differences = match &arguments.known_differences {
        Some(file) => read_known_differences(file)?,
        None => KnownDifferences::default(),
    };
    let upstream = arguments.upstream_port.map(|port| UpstreamOptions {
        host: arguments.upstream_host,
        port,
        settings_file: arguments.upstream_settings,
    });
    Ok(Options {
        cases: arguments.case,
        known_differences,
        upstream,
        max_connections: arguments.max_connections,
        restart_command: arguments.restart_command,
        node_modules: arguments.node_modules,
        python: arguments.python,
        timeout: Duration::from_secs(arguments.timeout),
        concurrency: arguments.concurrency.into(),
        ..Options::new(connection)
    })
}

fn read_known_differences(file: &Path) -> Result<KnownDifferences, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", file.display()))
}
