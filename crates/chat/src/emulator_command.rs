//! `chat emulator`: the SignalR service alone, for `func start` or for a project in any language.

use std::process::ExitCode;

use azure_signalr::ConnectionString;
use azure_signalr_emulator::AccessKey;
use azure_signalr_emulator::cli::{self, CliError};
use serverless_chat::config::{ConfigError, SIGNALR};
use serverless_chat::exit::ExitError;
use serverless_chat::shutdown;

pub(crate) use azure_signalr_emulator::cli::EmulatorArgs;

/// Runs the emulator until a signal ends it. Tokens are signed with the key of `signalr`, if it is set.
pub(crate) async fn run(args: EmulatorArgs, signalr: Option<&ConnectionString>) -> Result<ExitCode, ExitError> {
    let key = signalr.map(access_key).transpose()?;
    let stop = shutdown::signal();
    cli::run(args, key, async { _ = stop.await }).await.map_err(|error| match error {
        CliError::Arguments(message) => ExitError::Usage(message),
        CliError::Port(message) => ExitError::PortTaken(message),
        error => ExitError::other(error),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn access_key(signalr: &ConnectionString) -> Result<AccessKey, ExitError> {
    match signalr.access_key() {
        Some(key) => AccessKey::new(key).map_err(ExitError::other),
        None => {
            let reason =
                "names an identity, and the emulator needs a key; take the setting away, or give it an AccessKey";
            Err(ExitError::Config(vec![ConfigError { name: SIGNALR, reason: reason.to_owned() }]))
        }
    }
}
