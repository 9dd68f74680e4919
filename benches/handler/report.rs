//! Formats the tables and compares the claims with the measurements.

use std::fmt;

use crate::common::{median, saturation_note, with_ratio};
use crate::load::{Load, Loads};
use crate::start::Starts;
use crate::target::Target;

/// The claimed limits of start time and idle memory.
const START_MS: f64 = 20.0;
const MEMORY_MIB: f64 = 8.0;

/// All measurements, each in the order of `targets`: handler, floor, Node.
pub(crate) struct Report<'a> {
    pub(crate) targets: &'a [Target],
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
        let negotiate: Vec<_> = self.loads.iter().map(|loads| &loads.negotiate).collect();
        self.load(f, "Negotiate: `POST /api/negotiate`", &negotiate)?;
        let messages: Vec<_> = self.loads.iter().map(|loads| &loads.messages).collect();
        self.load(f, "Messages: `POST /api/messages`, published to a fake service", &messages)
    }
}

impl Report<'_> {
    fn start(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = median(&self.starts[HANDLER].response_ms);
        writeln!(f, "## Start\n\n{}\n", verdict(claimed, START_MS, "ms to the first answer"))?;
        writeln!(
            f,
            "| | first response to `GET /`, ms | ÷ floor | first token, ms | ÷ floor | CPU until then, ms | ÷ floor |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let floor = &self.starts[FLOOR];
        for (target, starts) in self.targets.iter().zip(self.starts) {
            let response = with_ratio(&starts.response_ms, &floor.response_ms, 1);
            let token = with_ratio(&starts.token_ms, &floor.token_ms, 1);
            let cpu = with_ratio(&starts.cpu_ms, &floor.cpu_ms, 1);
            writeln!(f, "| {} | {response} | {token} | {cpu} |", target.name)?;
        }
        Ok(())
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = median(&self.starts[HANDLER].idle_mib);
        writeln!(f, "\n## Memory\n\n{}\n", verdict(claimed, MEMORY_MIB, "MiB resident when idle"))?;
        writeln!(f, "| | idle after the start, MiB | ÷ floor | after the load below, MiB | ÷ floor |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for ((target, starts), loads) in self.targets.iter().zip(self.starts).zip(self.loads) {
            let idle = with_ratio(&starts.idle_mib, &self.starts[FLOOR].idle_mib, 1);
            let after = with_ratio(&loads.after_mib, &self.loads[FLOOR].after_mib, 1);
            writeln!(f, "| {} | {idle} | {after} |", target.name)?;
        }
        Ok(())
    }

    fn load(&self, f: &mut fmt::Formatter<'_>, title: &str, loads: &[&Load]) -> fmt::Result {
        writeln!(f, "\n## {title}\n")?;
        writeln!(f, "| | requests/s | ÷ floor | ÷ Node | CPU per request, µs | ÷ floor | cores | load generator |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for (target, load) in self.targets.iter().zip(loads) {
            let rate = with_ratio(&load.per_second, &loads[FLOOR].per_second, 0);
            let ratio_to_node = median(&load.per_second) / median(&loads[NODE].per_second);
            let cpu = with_ratio(&load.cpu_us, &loads[FLOOR].cpu_us, 1);
            let (cores, busy) = (median(&load.cores), median(&load.load_generator_busy) * 100.0);
            writeln!(f, "| {} | {rate} | {ratio_to_node:.2} | {cpu} | {cores:.2} | {busy:.0} % |", target.name)?;
        }
        for (target, load) in self.targets.iter().zip(loads) {
            if let Some(note) = saturation_note(target.name, &load.load_generator_busy, "request") {
                writeln!(f, "\n{note}")?;
            }
        }
        Ok(())
    }
}

fn verdict(measured: f64, claimed: f64, what: &str) -> String {
    let holds = if measured < claimed { "holds" } else { "does not hold in this run" };
    format!("Claim: under {claimed} {what}. It {holds}: {measured:.1}.")
}
