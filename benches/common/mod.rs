//! Shared by the benchmarks: statistics of processes and of the machine, a minimal HTTP client, and number formatting.
//!
//! Each benchmark compiles these files as a module; they are not a crate.

pub(crate) mod http;
pub(crate) mod process;

use std::process::{Command, ExitCode};
use std::thread;
use std::{fmt, fs};

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
    let cores = thread::available_parallelism()?;
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

/// The busy share from which the load generator, not the target, may limit the rate.
const SATURATED_SHARE: f64 = 0.9;

/// A column of a table: its title, and the cell of a target with the measurements `T`. ` | ` in both makes it several columns.
pub(crate) type Column<'a, T> = (&'a str, &'a dyn Fn(&T) -> String);

/// Writes a table with a row for each target.
pub(crate) fn write_table<T>(
    f: &mut fmt::Formatter<'_>,
    names: &[&str],
    measured: &[T],
    columns: &[Column<'_, T>],
) -> fmt::Result {
    let header = columns.iter().fold("| |".to_owned(), |header, (title, _)| format!("{header} {title} |"));
    writeln!(f, "{header}\n|{}", "---|".repeat(header.matches('|').count() - 1))?;
    for (name, measured) in names.iter().zip(measured) {
        let row = columns.iter().fold(format!("| {name} |"), |row, (_, cell)| format!("{row} {} |", cell(measured)));
        writeln!(f, "{row}")?;
    }
    Ok(())
}

/// The cell of a target: how busy the load generator was.
pub(crate) fn percent(load_generator_busy: &[f64]) -> String {
    format!("{:.0} %", median(load_generator_busy) * 100.0)
}

/// Writes a note under a table for each target with which the load generator was always busy.
pub(crate) fn write_saturation_notes<'a>(
    f: &mut fmt::Formatter<'_>,
    names: &[&str],
    load_generator_busy: impl Iterator<Item = &'a [f64]>,
    per: &str,
) -> fmt::Result {
    for (name, _) in names.iter().zip(load_generator_busy).filter(|(_, busy)| median(busy) >= SATURATED_SHARE) {
        let note = "the load generator was always busy, so it may limit the rate; compare CPU per";
        writeln!(f, "\n{name}: {note} {per}.")?;
    }
    Ok(())
}

/// The median with minimum and maximum.
pub(crate) fn spread(values: &[f64], decimals: usize) -> String {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values);
    format!("{middle:.decimals$} ({smallest:.decimals$}–{largest:.decimals$})")
}

/// Two cells: the median with minimum and maximum, and its ratio to the median of the floor.
pub(crate) fn with_ratio(values: &[f64], floor: &[f64], decimals: usize) -> String {
    let ratio = median(values) / median(floor);
    format!("{} | {ratio:.2}", spread(values, decimals))
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}
