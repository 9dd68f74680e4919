//! The tables, and whether the claims hold.
//!
//! A ratio beside Node is of medians too; it has no spread of its own.

use std::fmt;

use crate::common::figures::{limited_by_asking, median, with_ratio};
use crate::load::{Load, Loads};
use crate::start::Starts;
use crate::target::Target;

/// The claims: a start in milliseconds, memory in MiB.
const START_MS: f64 = 20.0;
const MEMORY_MIB: f64 = 8.0;

/// All that was measured, each in the order of `targets`: the handler, its floor, its peer.
pub(crate) struct Report<'a> {
    pub(crate) targets: &'a [Target],
    pub(crate) starts: &'a [Starts],
    pub(crate) loads: &'a [Loads],
}

const HANDLER: usize = 0;
const FLOOR: usize = 1;
const PEER: usize = 2;

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start(f)?;
        self.memory(f)?;
        let negotiate: Vec<_> = self.loads.iter().map(|loads| &loads.negotiate).collect();
        self.load(f, "Negotiate: `POST /api/negotiate`", &negotiate)?;
        let messages: Vec<_> = self.loads.iter().map(|loads| &loads.messages).collect();
        self.load(f, "Messages: `POST /api/messages`, published to a stand-in of the service", &messages)
    }
}

impl Report<'_> {
    fn start(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = median(&self.starts[HANDLER].answer_ms);
        writeln!(f, "## Start\n\n{}\n", verdict(claimed, START_MS, "ms to the first answer"))?;
        writeln!(
            f,
            "| | first answer to `GET /`, ms | ÷ floor | first token, ms | ÷ floor | CPU till then, ms | ÷ floor |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let floor = &self.starts[FLOOR];
        for (target, starts) in self.targets.iter().zip(self.starts) {
            let answer = with_ratio(&starts.answer_ms, &floor.answer_ms, 1);
            let token = with_ratio(&starts.token_ms, &floor.token_ms, 1);
            let cpu = with_ratio(&starts.cpu_ms, &floor.cpu_ms, 1);
            writeln!(f, "| {} | {answer} | {token} | {cpu} |", target.name)?;
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
        writeln!(f, "| | requests/s | ÷ floor | ÷ Node | CPU a request, µs | ÷ floor | cores | asking |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for (target, load) in self.targets.iter().zip(loads) {
            let rate = with_ratio(&load.per_second, &loads[FLOOR].per_second, 0);
            let beside_peer = median(&load.per_second) / median(&loads[PEER].per_second);
            let cpu = with_ratio(&load.cpu_us, &loads[FLOOR].cpu_us, 1);
            let (cores, asking) = (median(&load.cores), median(&load.asking) * 100.0);
            writeln!(
                f,
                "| {} | {rate} | {beside_peer:.2} | {cpu} | {cores:.2} | {asking:.0} % |",
                target.name
            )?;
        }
        for (target, load) in self.targets.iter().zip(loads) {
            if let Some(words) = limited_by_asking(target.name, &load.asking, "request") {
                writeln!(f, "\n{words}")?;
            }
        }
        Ok(())
    }
}

fn verdict(measured: f64, claimed: f64, what: &str) -> String {
    let holds = if measured < claimed { "holds" } else { "does not hold in this run" };
    format!("Claim: under {claimed} {what}. It {holds}: {measured:.1}.")
}
