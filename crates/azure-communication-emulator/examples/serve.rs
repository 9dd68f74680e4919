//! Serves the emulator and its control API: prints the connection string, then `ready`, and runs until Ctrl-C.
//!
//! `cargo run -p azure-communication-emulator --example serve [port]`; without a port, or with 0, a free one is chosen.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;

use azure_communication_emulator::{Emulator, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);

    let emulator = Emulator::new(Options { control_api: true, ..Options::default() });
    writeln!(io::stdout(), "connection  {}\nready", emulator.connection_string(&endpoint))?;

    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    emulator.serve(vec![listener], shutdown).await?;
    Ok(())
}
