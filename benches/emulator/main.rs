//! Benchmark of the SignalR service of `chat emulator`: start, memory and messages to 2,000 clients, beside a minimal server (the floor).
//!
//! `make bench` runs it with Cargo's build of `chat`; the path of another binary can be given. With the argument `floor`, this executable
//! runs the floor.

use std::env;
use std::path::Path;
use std::process::ExitCode;

mod client;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod correctness;
mod load;
mod minimal_server;
mod report;
mod target;

use client::Protocol;
use common::{LoadAverage, Result, describe_machine, print_outcome};
use report::Report;
use target::{Target, measure_starts};
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["floor"] => minimal_server::run(),
        // `cargo bench` adds `--bench`.
        ["--bench"] => measure(Path::new(env!("CARGO_BIN_EXE_chat"))),
        [chat, "--bench"] => measure(Path::new(chat)),
        _ => Ok("run `make bench`".to_owned()),
    };
    print_outcome(outcome)
}

/// Runs all clients on this thread.
fn measure(chat: &Path) -> Result<String> {
    clients::check_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(chat))
}

async fn run(chat: &Path) -> Result<String> {
    let before = LoadAverage::now()?;
    let emulator = Target::emulator(chat, Protocol::Json);
    let json = correctness::check_message(&emulator).await?;
    let mut targets = vec![(emulator, json.clone())];
    let other = Target::emulator(chat, Protocol::MessagePack);
    let mut notes = String::new();
    match correctness::protocol_error(&other).await? {
        None => {
            let message = correctness::check_message(&other).await?;
            targets.push((other, message));
        }
        Some(error) => notes = format!("\n{} is left out: {error}\n", other.name),
    }
    targets.push((Target::floor()?, json));
    let starts_ms = measure_starts(&targets)?;
    let loads = load::measure(&targets).await?;
    let names: Vec<_> = targets.iter().map(|(target, _)| target.name).collect();
    let report = Report { names: &names, starts_ms: &starts_ms, loads: &loads };
    Ok(format!("{}\n{notes}\n{report}", describe_machine(before)?))
}
