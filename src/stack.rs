//! Where there is no host: the whole chat on this machine, or the SignalR service alone.

use clap::{Args, Parser, Subcommand};
use serverless_chat::config::{Config, HOST_PORT};

use crate::Failure;

/// A real-time chat with no server of its own.
///
/// Behind the Azure Functions host, which sets FUNCTIONS_CUSTOMHANDLER_PORT, this serves /api/negotiate and /api/messages. Without a
/// host it shows the whole chat on this machine.
#[derive(Parser)]
#[command(name = "handler", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    ports: Ports,
}

#[derive(Subcommand)]
enum Command {
    /// Run the SignalR service alone, for `func start` or for a project in any language
    Emulator {
        /// Where it listens; 0 is any free port
        #[arg(long, default_value_t = 8888)]
        port: u16,
    },
}

#[derive(Args)]
struct Ports {
    /// Where the page is; 0 is any free port [default: 5500]
    #[arg(long, value_name = "PORT")]
    page_port: Option<u16>,
    /// Where the functions and sign-in are; 0 is any free port [default: 7071]
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
    /// Where the SignalR service is; 0 is any free port [default: 8888]
    #[arg(long, value_name = "PORT")]
    signalr_port: Option<u16>,
}

impl Arguments {
    /// Behind a host nothing of this is there, even though it is compiled in.
    pub(crate) fn none(&self) -> Result<(), Failure> {
        let Ports { page_port, api_port, signalr_port } = self.ports;
        if self.command.is_some() || [page_port, api_port, signalr_port].iter().any(Option::is_some) {
            let words =
                format!("there are no commands or options behind a Functions host ({HOST_PORT} is set)");
            return Err(Failure::Arguments(clap::Error::raw(
                clap::error::ErrorKind::ArgumentConflict,
                words,
            )));
        }
        Ok(())
    }
}

pub(crate) async fn run(_: Arguments, _: Config) -> Result<(), Failure> {
    Ok(())
}
