//! Benchmark of `azure-signalr-emulator` beside a minimal server (the floor).
//!
//! `make bench` runs it with Cargo's build. Arguments: `record` replaces the committed numbers of instructions; `growth` measures
//! how cost grows, and writes its table and charts to `docs/`; `floor`, or `batching-floor`, and a port run a floor.

use std::env;
use std::path::Path;
use std::process::ExitCode;

mod batching_server;
mod chart;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod connect;
mod correctness;
mod frame;
mod growth;
mod instructions;
mod load;
mod message;
mod minimal_server;
mod report;
mod target;

use clients::check_open_files;
use common::cores::Cores;
use common::{LoadAverage, Result, describe_machine, print_outcome};
use load::BURST_CLIENTS;
use report::Report;
use tokio::task::LocalSet;

/// The binary with the emulator, the file with the committed numbers of instructions, and the folder for charts.
const EMULATOR: &str = env!("CARGO_BIN_EXE_azure-signalr-emulator");
const INSTRUCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/instructions.txt");
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["floor", port] => minimal_server::run(port),
        ["batching-floor", port] => batching_server::run(port),
        // `cargo bench` adds `--bench`.
        ["--bench"] => on_one_thread(measure),
        ["record", "--bench"] => on_one_thread(record),
        ["growth", "--bench"] => {
            on_one_thread(async |cores| growth::write(Path::new(EMULATOR), cores, Path::new(DOCS)).await)
        }
        _ => Ok("run `make bench`".to_owned()),
    };
    print_outcome(outcome)
}

/// Runs the load generator, with all clients, on this thread and its core.
fn on_one_thread(run: impl AsyncFn(Cores) -> Result<String>) -> Result<String> {
    let cores = Cores::allowed()?;
    cores.pin_load_generator()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(cores))
}

async fn measure(cores: Cores) -> Result<String> {
    check_open_files(BURST_CLIENTS)?;
    let before = LoadAverage::now()?;
    let emulator = Path::new(EMULATOR);
    let both = load::measure(emulator, cores).await?;
    let counts = instructions::count_all(emulator, cores).await?;
    let report = Report { cores, both: &both };
    let instructions = common::instructions::compare(Path::new(INSTRUCTIONS), &counts)?;
    Ok(format!("{}\n\n## The emulator beside its floor\n\n{report}\n{instructions}", describe_machine(before)?))
}

async fn record(cores: Cores) -> Result<String> {
    let counts = instructions::count_all(Path::new(EMULATOR), cores).await?;
    common::instructions::record(Path::new(INSTRUCTIONS), &counts)
}
