//! The claims about the SignalR service of `chat emulator`, measured in one run beside a floor.
//!
//! `make bench` is the way in; it uses the handler that Cargo builds along with this, or another one if its path is given. The
//! executable plays two parts: started with the argument `floor`, it is the floor.

use std::env;
use std::path::Path;
use std::process::ExitCode;

mod check;
mod client;
mod clients;
mod floor;
mod limits;
mod load;
#[path = "../common/mod.rs"]
mod common;
mod message;
mod report;
mod service;
mod start;
mod target;

use common::{Result, machine};
use report::Report;
use target::{Protocol, Target};
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["floor"] => floor::run(),
        // `--bench` is what `cargo bench` adds.
        ["--bench"] => measure(Path::new(env!("CARGO_BIN_EXE_chat"))),
        [handler, "--bench"] => measure(Path::new(handler)),
        _ => Ok("`make bench` says what to measure; alone there is nothing to do here".to_owned()),
    };
    common::end(outcome)
}

/// All clients are on one thread: what is measured has the rest of the machine.
fn measure(handler: &Path) -> Result<String> {
    limits::check()?;
    let clients = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&clients, run(handler))
}

async fn run(handler: &Path) -> Result<String> {
    let before = machine::Load::now()?;
    let emulator = Target::emulator(handler, Protocol::Json);
    let json = check::message(&emulator).await?;
    let mut targets = vec![(emulator, json.clone())];
    let other = Target::emulator(handler, Protocol::MessagePack);
    let mut notes = String::new();
    match check::refusal(&other).await? {
        None => {
            let message = check::message(&other).await?;
            targets.push((other, message));
        }
        Some(refusal) => notes = format!("\n{} is left out: {refusal}\n", other.name),
    }
    targets.push((Target::floor()?, json));
    let starts = start::measure(&targets)?;
    let loads = load::measure(&targets).await?;
    let names: Vec<_> = targets.iter().map(|(target, _)| target.name).collect();
    let report = Report { names: &names, starts: &starts, loads: &loads };
    Ok(format!("{}\n{notes}\n{report}", machine::describe(before)?))
}
