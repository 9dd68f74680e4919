//! Counts the instructions of the emulator for one client, one delivery, one message to a user and one invocation.

use std::path::Path;

use crate::common::Result;
use crate::common::cores::Cores;
use crate::common::instructions::{Counts, Operations, count};
use crate::common::process::Process;
use crate::connect::{Socket, connect};
use crate::frame::{CLIENT_CLOSE, client_frame};
use crate::load::connect_clients;
use crate::target::{PROBE, Recipients, Target, client_requests, send_request};

/// The size of the text of messages.
const TEXT_BYTES: usize = 128;

/// Clients that receive broadcasts.
const CLIENTS: u32 = 200;

/// A client's invocation without a result. There is no upstream that receives it.
const INVOCATION: &[u8] = b"{\"type\":1,\"target\":\"newMessage\",\"arguments\":[\"Good morning\"]}\x1e";

/// Counts the instructions of the emulator for each operation.
pub(crate) async fn count_all(emulator: &Path, cores: Cores) -> Result<Counts> {
    let emulator = Target::Emulator(emulator.to_owned());
    let counted = async |operations, operate: fn(&Process, u32) -> Result<()>| {
        let (command, port) = emulator.command()?;
        let operate = async |process: &Process, operations| operate(process, operations);
        count(&command, port, PROBE.as_bytes(), operations, cores, operate).await
    };
    let mut counts = Counts::new();
    let mut add = |name: &str, instructions: u64| counts.insert(format!("emulator, {name}"), instructions);
    add("one client: negotiate, upgrade, handshake, close", counted(Operations(100, 600), connect_and_close).await?);
    let broadcast = counted(Operations(20, 120), broadcast).await?;
    add(&format!("one delivery of a broadcast to {CLIENTS} clients"), broadcast / u64::from(CLIENTS));
    add("message to one user", counted(Operations(100, 1_100), send_to_user).await?);
    add("invocation of a client, without upstream", counted(Operations(100, 2_100), invoke).await?);
    Ok(counts)
}

/// Each client waits until the service has closed its socket, so that all its work is counted.
fn connect_and_close(process: &Process, clients: u32) -> Result<()> {
    let mut caller = Socket::open(process.port)?;
    let requests = client_requests(process.port, "user")?;
    for _ in 0..clients {
        let mut socket = connect(process.port, &mut caller, &requests)?.socket;
        socket.send(&CLIENT_CLOSE)?;
        socket.wait_for_end()?;
    }
    Ok(())
}

fn broadcast(process: &Process, messages: u32) -> Result<()> {
    let mut caller = Socket::open(process.port)?;
    let (mut clients, _) = connect_clients(process.port, &mut caller, CLIENTS as usize)?;
    let request = send_request(process.port, Recipients::Everyone, TEXT_BYTES)?;
    for _ in 0..messages {
        caller.exchange(&request, 202)?;
        for client in &mut clients {
            client.socket.receive()?;
        }
    }
    Ok(())
}

fn send_to_user(process: &Process, messages: u32) -> Result<()> {
    const USER: &str = "listener";
    let mut caller = Socket::open(process.port)?;
    let mut client = connect(process.port, &mut caller, &client_requests(process.port, USER)?)?;
    let request = send_request(process.port, Recipients::User(USER), TEXT_BYTES)?;
    for _ in 0..messages {
        caller.exchange(&request, 202)?;
        client.socket.receive()?;
    }
    Ok(())
}

/// The close frame makes sure that the service has read all invocations.
fn invoke(process: &Process, invocations: u32) -> Result<()> {
    let mut caller = Socket::open(process.port)?;
    let mut socket = connect(process.port, &mut caller, &client_requests(process.port, "user")?)?.socket;
    let invocation = client_frame(INVOCATION);
    for _ in 0..invocations {
        socket.send(&invocation)?;
    }
    socket.send(&CLIENT_CLOSE)?;
    socket.wait_for_end()
}
