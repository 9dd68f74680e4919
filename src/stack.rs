//! Where there is no host.
use crate::Failure;
use serverless_chat::config::Config;
#[derive(clap::Parser)]
#[command(name = "handler", version)]
pub(crate) struct Arguments {}

impl Arguments {
    pub(crate) fn none(&self) -> Result<(), Failure> {
        Ok(())
    }
}
pub(crate) async fn run(_: Arguments, _: Config) -> Result<(), Failure> {
    Ok(())
}
