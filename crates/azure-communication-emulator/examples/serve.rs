//! The emulator as a program, with the test's side: prints its connection string, then `ready`, and serves until Ctrl-C.
//!
//! `cargo run -p azure-communication-emulator --example serve [port]`; without a port, or with 0, any that is free.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use azure_communication_emulator::{Emulator, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let socket = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let endpoint = format!("http://{}", socket.local_addr()?);

    let emulator = Emulator::new(Options::default());
    let app = emulator.router().merge(emulator.control_router());
    writeln!(io::stdout(), "connection  {}\nready", emulator.connection_string(&endpoint))?;

    axum::serve(socket, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await?;
    Ok(())
}
