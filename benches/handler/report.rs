//! Formats the tables and compares the claims with the measurements.

use std::fmt;

use crate::common::{median, spread};
use crate::load::{Load, Loads};
use crate::start::Starts;

/// The claimed limits of start time and idle memory.
const START_MS: f64 = 20.0;
const MEMORY_MIB: f64 = 8.0;
/// The claimed limit of the time for the newest page of a long history.
pub(crate) const HISTORY_PAGE_MS: f64 = 100.0;

/// All measurements, each in the order of the targets: handler, floor, Node.
pub(crate) struct Report<'a> {
    pub(crate) names: [&'static str; 3],
    pub(crate) starts: &'a [Starts],
    pub(crate) loads: &'a [Loads],
}

const HANDLER: usize = 0;
const FLOOR: usize = 1;
const NODE: usize = 2;

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start(f)?;
        self.memory(f)?;
        self.load(f, "Negotiate: `POST /api/negotiate`", |loads| &loads.negotiate)?;
        self.load(f, "Messages: `POST /api/messages`, published to a fake service", |loads| &loads.messages)
    }
}

impl Report<'_> {
    fn start(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = median(&self.starts[HANDLER].response_ms);
        writeln!(f, "## Start\n\n{}\n", verdict(claimed, START_MS, "ms to the first answer"))?;
        let floor = &self.starts[FLOOR];
        let columns: [Column<'_, Starts>; 3] = [
            ("first response to `GET /`, ms | ÷ floor", &|it| with_ratio(&it.response_ms, &floor.response_ms, 1)),
            ("first token, ms | ÷ floor", &|it| with_ratio(&it.token_ms, &floor.token_ms, 1)),
            ("CPU until then, ms | ÷ floor", &|it| with_ratio(&it.cpu_ms, &floor.cpu_ms, 1)),
        ];
        write_table(f, &self.names, self.starts, &columns)
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = median(&self.starts[HANDLER].idle_mib);
        writeln!(f, "\n## Memory\n\n{}\n", verdict(claimed, MEMORY_MIB, "MiB resident when idle"))?;
        let (idle, loaded) = (&self.starts[FLOOR].idle_mib, &self.loads[FLOOR].after_mib);
        let both: Vec<_> = self.starts.iter().zip(self.loads).collect();
        let columns: [Column<'_, (&Starts, &Loads)>; 2] = [
            ("idle after the start, MiB | ÷ floor", &|(starts, _)| with_ratio(&starts.idle_mib, idle, 1)),
            ("after the load below, MiB | ÷ floor", &|(_, loads)| with_ratio(&loads.after_mib, loaded, 1)),
        ];
        write_table(f, &self.names, &both, &columns)
    }

    fn load(&self, f: &mut fmt::Formatter<'_>, title: &str, route: fn(&Loads) -> &Load) -> fmt::Result {
        writeln!(f, "\n## {title}\n")?;
        let loads: Vec<_> = self.loads.iter().map(route).collect();
        let (floor, node) = (loads[FLOOR], median(&loads[NODE].per_second));
        let columns: [Column<'_, &Load>; 5] = [
            ("requests/s | ÷ floor", &|load| with_ratio(&load.per_second, &floor.per_second, 0)),
            ("÷ Node", &|load| format!("{:.2}", median(&load.per_second) / node)),
            ("CPU per request, µs | ÷ floor", &|load| with_ratio(&load.cpu_us, &floor.cpu_us, 1)),
            ("cores", &|load| format!("{:.2}", median(&load.cores))),
            ("load generator", &|load| percent(&load.load_generator_busy)),
        ];
        write_table(f, &self.names, &loads, &columns)?;
        let busy = loads.iter().map(|load| load.load_generator_busy.as_slice());
        write_saturation_notes(f, &self.names, busy, "request")
    }
}

fn verdict(measured: f64, claimed: f64, what: &str) -> String {
    let holds = if measured < claimed { "holds" } else { "does not hold in this run" };
    format!("Claim: under {claimed} {what}. It {holds}: {measured:.1}.")
}

/// The busy share from which the load generator, not the target, may limit the rate.
const SATURATED_SHARE: f64 = 0.9;

/// A column of a table: its title, and the cell of a target with the measurements `T`. ` | ` in both makes it several columns.
type Column<'a, T> = (&'a str, &'a dyn Fn(&T) -> String);

/// Writes a table with a row for each target.
fn write_table<T>(
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
fn percent(load_generator_busy: &[f64]) -> String {
    format!("{:.0} %", median(load_generator_busy) * 100.0)
}

/// Writes a note under a table for each target with which the load generator was always busy.
fn write_saturation_notes<'a>(
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

/// Two cells: the median with minimum and maximum, and its ratio to the median of the floor.
fn with_ratio(values: &[f64], floor: &[f64], decimals: usize) -> String {
    let ratio = median(values) / median(floor);
    format!("{} | {ratio:.2}", spread(values, decimals))
}
