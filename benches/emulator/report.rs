//! Formats the table and compares the goals with the measurements.

use std::fmt;

use crate::common::cores::Cores;
use crate::common::{median, spread};
use crate::load::{BURST, BURST_CLIENTS, Loads, RUNS, SEQUENTIAL_CLIENTS};

/// The measurements of floor and emulator.
pub(crate) struct Report<'a> {
    pub(crate) cores: Cores,
    pub(crate) both: &'a [Loads; 2],
}

/// What is to be reached.
#[derive(Clone, Copy)]
enum Goal {
    /// At most this multiple of the floor.
    AtMostFloor(f64),
    /// At least this multiple of the floor.
    AtLeastFloor(f64),
    /// At most this value.
    AtMost(f64),
    None,
}

/// The values of a target, one per run.
type Values = fn(&Loads) -> &[f64];

/// A row of the table.
struct Row {
    name: String,
    unit: &'static str,
    decimals: usize,
    values: Values,
    goal: Goal,
}

/// The rows with the goals of the project.
fn rows_with_goals() -> [Row; 6] {
    let sequential = |percentile| {
        let clients = with_thousands(SEQUENTIAL_CLIENTS);
        format!("one broadcast at a time to {clients} clients, each delivery, {percentile}")
    };
    [
        Row::new(sequential("p50"), "ms", 2, |loads| &loads.sequential_p50_ms, Goal::AtMostFloor(1.35)),
        Row::new(sequential("p99"), "ms", 2, |loads| &loads.sequential_p99_ms, Goal::AtMostFloor(1.5)),
        Row::new(
            format!("burst of {BURST} broadcasts of 1 KiB to {} clients", with_thousands(BURST_CLIENTS)),
            "thousand deliveries/s",
            0,
            |loads| &loads.burst_thousand_per_second,
            Goal::AtLeastFloor(1.0),
        ),
        Row::new("connect one client", "µs", 0, |loads| &loads.connect_us, Goal::AtMostFloor(2.2)),
        Row::new("memory per idle client", "KiB", 1, |loads| &loads.idle_kib, Goal::AtMost(9.5)),
        Row::new("start to first answer", "ms", 1, |loads| &loads.start_ms, Goal::AtMost(2.7)),
    ]
}

/// What explains the rows above.
fn other_rows() -> [Row; 8] {
    [
        Row::new("message to one client, p50", "µs", 0, |loads| &loads.single_p50_us, Goal::None),
        Row::new("message to one client, p99", "µs", 0, |loads| &loads.single_p99_us, Goal::None),
        Row::new(
            "the burst on all cores, beside the second floor",
            "thousand deliveries/s",
            0,
            |loads| &loads.shared_burst_thousand_per_second,
            Goal::None,
        ),
        Row::new("CPU per delivery, one broadcast at a time", "µs", 2, |loads| &loads.sequential_cpu_us, Goal::None),
        Row::new("CPU per delivery, burst", "µs", 2, |loads| &loads.burst_cpu_us, Goal::None),
        Row::new(
            "load generator busy, one broadcast at a time",
            "%",
            0,
            |loads| &loads.sequential_generator_percent,
            Goal::None,
        ),
        Row::new("load generator busy, burst", "%", 0, |loads| &loads.burst_generator_percent, Goal::None),
        Row::new("memory without clients", "MiB", 1, |loads| &loads.empty_mib, Goal::None),
    ]
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Medians of {RUNS} runs of floor and emulator in turn; {}.\n", describe(self.cores))?;
        writeln!(f, "| | floor | emulator | ratio | goal | |\n|---|---|---|---|---|---|")?;
        for row in rows_with_goals() {
            let is_reached = if row.is_reached(self.both) { "reached" } else { "**not reached**" };
            writeln!(f, "{} {} | {is_reached} |", row.cells(self.both), row.goal_text())?;
        }
        writeln!(f, "\n| | floor | emulator | ratio |\n|---|---|---|---|")?;
        other_rows().iter().try_for_each(|row| writeln!(f, "{}", row.cells(self.both)))
    }
}

fn describe(cores: Cores) -> String {
    match cores.load_generator {
        Some(other) => format!("target on core {}, load generator on core {other}", cores.target),
        None => "nothing is pinned, because only one core may be used".to_owned(),
    }
}

impl Row {
    fn new(name: impl Into<String>, unit: &'static str, decimals: usize, values: Values, goal: Goal) -> Self {
        Self { name: name.into(), unit, decimals, values, goal }
    }

    /// The ratios of the emulator to the floor that was measured directly before it.
    fn ratios(&self, [floor, emulator]: &[Loads; 2]) -> Vec<f64> {
        (self.values)(emulator).iter().zip((self.values)(floor)).map(|(emulator, floor)| emulator / floor).collect()
    }

    fn is_reached(&self, both: &[Loads; 2]) -> bool {
        let [_, emulator] = both;
        match self.goal {
            Goal::AtMostFloor(most) => median(&self.ratios(both)) <= most,
            Goal::AtLeastFloor(least) => median(&self.ratios(both)) >= least,
            Goal::AtMost(most) => median((self.values)(emulator)) <= most,
            Goal::None => true,
        }
    }

    fn goal_text(&self) -> String {
        match self.goal {
            Goal::AtMostFloor(most) => format!("≤ {most} × floor"),
            Goal::AtLeastFloor(least) => format!("≥ {least:.1} × floor"),
            Goal::AtMost(most) => format!("≤ {most} {}", self.unit),
            Goal::None => String::new(),
        }
    }

    /// The first four cells.
    fn cells(&self, both: &[Loads; 2]) -> String {
        let [floor, emulator] = both.each_ref().map(|loads| spread((self.values)(loads), self.decimals));
        format!("| {}, {} | {floor} | {emulator} | {} |", self.name, self.unit, spread(&self.ratios(both), 2))
    }
}

/// A number with a comma before the last three digits.
pub(crate) fn with_thousands(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}
