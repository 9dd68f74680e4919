//! `chat`, the chat on one machine: the handler with everything that surrounds it in Azure, the SignalR service alone, or the doctor.
//!
//! It is never deployed: it signs people in by any name they type.

mod anonymous_tokens;
mod doctor;
mod easy_auth;
mod emulator_command;
mod error_response;
mod functions_host;
mod html_page;
mod local_stack;
mod loopback;
mod origins;
mod run_local;
mod static_site;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand};
use serverless_chat::config::{Config, Env, HOST_PORT};
use serverless_chat::exit::ExitError;
use serverless_chat::shutdown;
use serverless_chat::telemetry::{self, Export};

use crate::doctor::Site;

/// A real-time chat with no server of its own, on this machine
///
/// Starts the page, the functions with sign-in, the SignalR service and the identities for calls, on loopback only. With
/// AzureSignalRConnectionString set it uses that service instead of its own.
#[derive(Parser)]
#[command(name = "chat", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    local: run_local::LocalArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the SignalR service alone, for `func start` or for a project in any language
    ///
    /// It behaves as Azure does towards clients and REST callers, is as strict, and says why it refuses a request.
    Emulator(emulator_command::EmulatorArgs),
    /// Check the project, its settings and what is deployed; print what is wrong and what fixes it
    ///
    /// Settings come from the environment, over --env-file, over local.settings.json. It changes nothing, and prints no value of a
    /// setting. Exit code 0: no problem was found; 78: a problem was found.
    Doctor(DoctorArgs),
}

#[derive(Args)]
struct DoctorArgs {
    /// The folder with host.json: the project, or a package unpacked
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Settings in the form of local.settings.json [default: that file in the folder]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Settings in the form of an .env file: NAME=value in each line
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The address of the functions, like `https://APP.azurewebsites.net`
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The address of the page, like `https://ACCOUNT.z6.web.core.windows.net`
    #[arg(long, value_name = "URL")]
    page: Option<String>,
    /// The identity provider, as in /.auth/login/PROVIDER [default: that of the page, else aad]
    #[arg(long)]
    provider: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Output that cannot be written is ignored: the exit code remains.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    start(arguments).unwrap_or_else(|error| {
        error.print("chat");
        ExitCode::from(error.code())
    })
}

fn start(arguments: Arguments) -> Result<ExitCode, ExitError> {
    let env = Env::of_process();
    let is_doctor = matches!(arguments.command, Some(Command::Doctor(_)));
    if env.is_behind_host() {
        let sentence = format!("{HOST_PORT} is set: a Functions host starts `handler`, never `chat`");
        return Err(ExitError::Usage(sentence));
    }
    // The doctor's report has standard output to itself.
    if !is_doctor {
        telemetry::start(env.log_filter(), env.log_format());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ExitError::other)?;
    let outcome = match arguments.command {
        Some(Command::Doctor(arguments)) => runtime.block_on(run_doctor(arguments, env)),
        Some(Command::Emulator(arguments)) => {
            let config = Config::read(&env)?;
            runtime.block_on(emulator_command::run(arguments, config.signalr.as_ref()))
        }
        None => {
            let config = Config::read(&env)?;
            let export = Export::start(config.otlp.as_ref(), runtime.handle());
            let outcome = runtime.block_on(run_local::run_local(arguments.local, &config, &export));
            export.end(shutdown::EXPORT_FLUSH_TIMEOUT);
            outcome
        }
    };
    // A name lookup under way must not delay the exit.
    runtime.shutdown_background();
    outcome
}

/// The exit code of `sysexits.h` for a wrong configuration.
const PROBLEM_FOUND: u8 = 78;

async fn run_doctor(arguments: DoctorArgs, env: Env) -> Result<ExitCode, ExitError> {
    let options = doctor::Options {
        api: site("--api", arguments.api)?,
        page: site("--page", arguments.page)?,
        folder: arguments.folder,
        settings: arguments.settings,
        env_file: arguments.env_file,
        provider: arguments.provider,
    };
    let report = doctor::examine(&options, env, SystemTime::now).await.map_err(ExitError::other)?;
    // Output that cannot be written is ignored: the exit code remains.
    let _ = writeln!(io::stdout(), "{report}");
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::from(PROBLEM_FOUND) })
}

/// An address from the command line. It may hold a password, so the error does not repeat it.
fn site(option: &str, text: Option<String>) -> Result<Option<Site>, ExitError> {
    let Some(text) = text else { return Ok(None) };
    let error = || ExitError::Usage(format!("{option} takes a web address, like https://chat.example"));
    Site::parse(&text).map(Some).ok_or_else(error)
}

/// Prints the addresses, then the line that says that everything listens.
fn announce(addresses: &dyn Display, next: &str) {
    // Output that cannot be written is no reason to stop.
    let _ = writeln!(io::stdout(), "\n{addresses}\n\nready: {next}, Ctrl-C to stop");
}
