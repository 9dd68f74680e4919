//! What `stack` is in the package for Azure: nothing. Without a host there is nobody to answer.

use serverless_chat::config::{Config, HOST_PORT, Problem};

use crate::Failure;

/// A real-time chat with no server of its own: the custom handler of its Azure Functions app. The Functions host starts it and sets
/// `FUNCTIONS_CUSTOMHANDLER_PORT`.
#[derive(clap::Parser)]
#[command(name = "handler", version)]
pub(crate) struct Arguments {}

impl Arguments {
    pub(crate) fn none(&self) -> Result<(), Failure> {
        Ok(())
    }
}

pub(crate) async fn run(_: Arguments, _: Config) -> Result<(), Failure> {
    let reason =
        "is not set: this build only runs behind the Functions host; one with the feature `local` runs alone";
    Err(Failure::Unusable(vec![Problem { name: HOST_PORT, reason: reason.to_owned() }]))
}
