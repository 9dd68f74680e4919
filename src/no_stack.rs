//! What `stack` is in the package for Azure: nothing. Without a host there is nobody to answer.

use std::process::ExitCode;

use serverless_chat::config::{Config, Env, HOST_PORT, Problem, Unusable};
use serverless_chat::trace::Export;

use crate::Failure;

/// A real-time chat with no server of its own: the custom handler of its Azure Functions app. The Functions host starts it and sets
/// `FUNCTIONS_CUSTOMHANDLER_PORT`.
#[derive(clap::Parser)]
#[command(name = "handler", version)]
pub(crate) struct Arguments {}

impl Arguments {
    /// Whether log lines belong on standard output.
    pub(crate) fn logs(&self) -> bool {
        true
    }

    pub(crate) fn none(&self) -> Result<(), Failure> {
        Ok(())
    }
}

pub(crate) async fn run(
    _: Arguments,
    _: Env,
    config: Result<Config, Unusable>,
    _: &Export,
) -> Result<ExitCode, Failure> {
    config?;
    let reason =
        "is not set: this build only runs behind the Functions host; one with the feature `local` runs alone";
    Err(Failure::Unusable(vec![Problem { name: HOST_PORT, reason: reason.to_owned() }]))
}
