//! `handler emulator`: the SignalR service alone, for `func start` or for a project in any language.

use azure_signalr::ConnectionString;
use azure_signalr_emulator::AccessKey;
use azure_signalr_emulator::cli::{self, CliError, EmulatorArgs};
use serverless_chat::config::{Problem, SIGNALR};
use serverless_chat::shutdown;

use crate::Failure;

/// Runs the emulator until a signal ends it. Tokens are signed with the key of `signalr`, if it has one.
pub(super) async fn run(args: EmulatorArgs, signalr: Option<&ConnectionString>) -> Result<(), Failure> {
    let key = signalr.map(key_of).transpose()?;
    Ok(cli::run(args, key, shutdown::asked()).await?)
}

fn key_of(signalr: &ConnectionString) -> Result<AccessKey, Failure> {
    match signalr.access_key() {
        Some(key) => AccessKey::new(key).map_err(Failure::other),
        None => {
            let reason = "names an identity, and the emulator needs a key; take the setting away, or give it an AccessKey";
            Err(Failure::Unusable(vec![Problem { name: SIGNALR, reason: reason.to_owned() }]))
        }
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        match error {
            CliError::Arguments(message) => {
                let message = format!("{message}\n");
                Self::Arguments(clap::Error::raw(clap::error::ErrorKind::ValueValidation, message))
            }
            CliError::Port(message) => Self::PortTaken(message),
            error => Self::other(error),
        }
    }
}
