//! Shared by the benchmarks: statistics of processes and of the machine, counts of instructions, a minimal HTTP client, and number formatting.
//!
//! Each benchmark compiles these files as a module; they are not a crate.

pub(crate) mod cores;
pub(crate) mod http;
pub(crate) mod instructions;
pub(crate) mod process;
pub(crate) mod start;

use std::fs;
use std::process::{Command, ExitCode};

use jiff::Timestamp;

/// The result of a step. Any error ends the run with its message.
pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Prints the report, or the error.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is a program with a report as its output")]
pub(crate) fn print_outcome(outcome: Result<String>) -> ExitCode {
    match &outcome {
        Ok(report) => println!("{report}"),
        Err(error) => eprintln!("bench: {error}"),
    }
    ExitCode::from(u8::from(outcome.is_err()))
}

/// The load average over one minute.
pub(crate) struct LoadAverage(String);

impl LoadAverage {
    pub(crate) fn now() -> Result<Self> {
        let averages = fs::read_to_string("/proc/loadavg")
            .map_err(|error| format!("the benchmarks need Linux with /proc/loadavg: {error}"))?;
        Ok(Self(averages.split(' ').next().unwrap_or_default().to_owned()))
    }
}

/// Date, processor, cores, versions, and load averages before and after the run.
pub(crate) fn describe_machine(before: LoadAverage) -> Result<String> {
    let date = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let node = Command::new("node").arg("--version").output()?.stdout;
    Ok(format!(
        "{date}; {}, {cores} cores; Linux {}; Node {}; load average {} before, {} after",
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        String::from_utf8_lossy(&node).trim(),
        before.0,
        LoadAverage::now()?.0,
    ))
}

/// The median with minimum and maximum.
pub(crate) fn spread(values: &[f64], decimals: usize) -> String {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values);
    format!("{middle:.decimals$} ({smallest:.decimals$}–{largest:.decimals$})")
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}
