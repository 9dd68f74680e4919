//! Benchmark of the handler: start, memory and throughput, beside a minimal server (the floor) and a handler in Node.
//!
//! `make bench` builds the packaged handler and passes its path. With `record` after it, the instructions are counted and committed
//! numbers replaced, and nothing else is measured. With the argument `floor`, this executable runs the floor.

use std::env;
use std::path::Path;
use std::process::ExitCode;

#[path = "../common/mod.rs"]
mod common;
mod correctness;
mod history;
mod instructions;
mod load;
mod minimal_server;
mod report;
mod server;
mod start;
mod target;

use common::instructions::compare;
use common::{LoadAverage, Result, describe_machine, print_outcome};
use report::Report;
use server::SignalRService;
use target::Target;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["floor"] => minimal_server::run(),
        // `cargo bench` adds `--bench`.
        [handler, "--bench"] => with_service(async |service| measure(Path::new(handler), service).await),
        [handler, "record", "--bench"] => with_service(async |service| record(Path::new(handler), service).await),
        _ => Ok("run `make bench`".to_owned()),
    };
    print_outcome(outcome)
}

/// The file with the committed numbers of instructions.
const INSTRUCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

/// Runs the load generator on this thread and the SignalR service on another one.
fn with_service(run: impl AsyncFn(&SignalRService) -> Result<String>) -> Result<String> {
    let service = SignalRService::start()?;
    let load_generator = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    load_generator.block_on(run(&service))
}

async fn measure(handler: &Path, service: &SignalRService) -> Result<String> {
    let before = LoadAverage::now()?;
    let handler = Target::handler(handler, service);
    let recording = correctness::check_target(&handler, service).await?;
    let targets = [handler, Target::floor(service, &recording)?, Target::node(service)];
    for target in &targets[1..] {
        correctness::check_target(target, service).await?;
    }
    let starts = start::measure(&targets).await?;
    let loads = load::measure(&targets, service).await?;
    let history = history::measure(&targets[0]).await?;
    let counts = instructions::count_all(&targets[0]).await?;
    let names = targets.each_ref().map(|target| target.name);
    let report = Report { names, starts: &starts, loads: &loads };
    let instructions = compare(Path::new(INSTRUCTIONS), &counts)?;
    Ok(format!("{}\n\n{report}\n{}\n{instructions}", describe_machine(before)?, history.report()))
}

async fn record(handler: &Path, service: &SignalRService) -> Result<String> {
    let counts = instructions::count_all(&Target::handler(handler, service)).await?;
    common::instructions::record(Path::new(INSTRUCTIONS), &counts)
}
