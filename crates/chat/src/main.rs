//! The binary `chat`: the local stack around the handler, `chat emulator` and `chat doctor`.
//!
//! It is never deployed: it signs users in by any name.

mod anonymous_tokens;
mod doctor;
mod easy_auth;
mod emulator_command;
mod functions_host;
mod local_stack;
mod loopback;
mod origins;
mod responses;
mod run_local;
mod static_site;

use std::process::ExitCode;

use azure_signalr_emulator::cli;
use clap::{Parser, Subcommand};
use serverless_chat::config::{Config, Env, HOST_PORT};
use serverless_chat::exit::ExitError;
use serverless_chat::shutdown;
use serverless_chat::telemetry::{self, Export};

use crate::doctor::DoctorArgs;

/// A serverless real-time chat on this machine
///
/// Starts the page, the functions with sign-in, the SignalR service and Communication Services, on loopback only. With
/// AzureSignalRConnectionString set it uses that SignalR service instead of its own.
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
    /// Run the SignalR emulator alone, for `func start` or a project in any language
    ///
    /// It behaves as Azure does towards clients and REST callers, is as strict, and explains why it rejects a request.
    Emulator(emulator_command::EmulatorArgs),
    /// Check the project, its settings and the deployment; print problems with fixes
    ///
    /// Settings come from the environment, then --env-file, then local.settings.json. It changes nothing, and prints no value of a
    /// setting. Exit code 0: no problem found; 78: problem found.
    Doctor(DoctorArgs),
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
    // The doctor prints its report to standard output, without a log.
    let _flush = (!is_doctor).then(|| telemetry::start(env.log_filter(), env.log_format()));
    let runtime = cli::runtime().map_err(ExitError::other)?;
    let outcome = match arguments.command {
        Some(Command::Doctor(arguments)) => runtime.block_on(doctor::run(arguments, env)),
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
