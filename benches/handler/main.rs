//! The claims of the project about the handler, measured in one run beside a floor and beside what people use instead.
//!
//! `make bench` is the way in: it builds the handler as it goes to Azure and hands it over. The executable plays two parts: started
//! with the argument `floor`, it is the floor.

use std::env;
use std::path::Path;
use std::process::ExitCode;

mod check;
#[path = "../common/mod.rs"]
mod common;
mod floor;
mod load;
mod report;
mod request;
mod serve;
mod server;
mod start;
mod target;

use common::{Result, machine};
use report::Report;
use server::Service;
use target::Target;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["floor"] => floor::run(),
        // `--bench` is what `cargo bench` adds.
        [handler, "--bench"] => measure(Path::new(handler)),
        _ => Ok("`make bench` says what to measure; alone there is nothing to do here".to_owned()),
    };
    common::end(outcome)
}

/// One thread asks, a second one is the service: what is measured has the rest of the machine.
fn measure(handler: &Path) -> Result<String> {
    let service = Service::start()?;
    let asking = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    asking.block_on(run(handler, &service))
}

async fn run(handler: &Path, service: &Service) -> Result<String> {
    let before = machine::Load::now()?;
    let handler = Target::handler(handler, service);
    let recording = check::answers(&handler, service).await?;
    let targets = [handler, Target::floor(service, &recording)?, Target::node(service)];
    for target in &targets[1..] {
        check::answers(target, service).await?;
    }
    let starts = start::measure(&targets).await?;
    let loads = load::measure(&targets, service).await?;
    let report = Report { targets: &targets, starts: &starts, loads: &loads };
    Ok(format!("{}\n\n{report}", machine::describe(before)?))
}
