//! The tables, and whether the claims hold. That every message came once and in order needs no table: a run in which one did not has none.
//!
//! The floor is the last of the targets.

use std::fmt;

use crate::clients::CLIENTS;
use crate::load::{BROADCASTS, Broadcasts, Loads};
use crate::common::figures::{limited_by_asking, median, spread, with_ratio};
use crate::start::Starts;

/// The claim: what a connection may cost at most while nothing happens, in KiB.
const CONNECTION_KIB: f64 = 20.0;

/// All that was measured, each in the same order, the floor last.
pub(crate) struct Report<'a> {
    pub(crate) names: &'a [&'static str],
    pub(crate) starts: &'a [Starts],
    pub(crate) loads: &'a [Loads],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([.., floor_starts], [.., floor]) = (self.starts, self.loads) else { return Ok(()) };
        self.start(f, floor_starts)?;
        self.memory(f, floor)?;
        let each = format!(
            "{BROADCASTS} messages of 1 KiB to {CLIENTS} clients. Each client got each once and in order."
        );
        writeln!(f, "\n## Broadcasts as fast as they are accepted\n\n{each}\n")?;
        self.broadcasts(f, floor, |loads| &loads.flood)?;
        writeln!(
            f,
            "\n## Broadcasts one after the other\n\nThe same, but the next is sent when everybody has the last.\n"
        )?;
        self.broadcasts(f, floor, |loads| &loads.turns)?;
        self.singles(f, floor)
    }
}

impl Report<'_> {
    fn start(&self, f: &mut fmt::Formatter<'_>, floor: &Starts) -> fmt::Result {
        writeln!(f, "## Start of the emulator\n")?;
        writeln!(f, "| | line with `ready`, ms | ÷ floor |\n|---|---|---|")?;
        for (name, starts) in self.names.iter().zip(self.starts) {
            writeln!(f, "| {name} | {} |", with_ratio(&starts.ready_ms, &floor.ready_ms, 1))?;
        }
        Ok(())
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>, floor: &Loads) -> fmt::Result {
        let worst = self.loads.iter().map(|loads| median(&loads.idle_kib)).fold(0.0, f64::max);
        let holds = if worst <= CONNECTION_KIB { "holds" } else { "does not hold in this run" };
        writeln!(f, "\n## Memory of idle connections\n")?;
        writeln!(
            f,
            "Claim: at most {CONNECTION_KIB} KiB for each idle connection. It {holds}: {worst:.1}.\n"
        )?;
        writeln!(
            f,
            "| | nobody connected, MiB | ÷ floor | idle, KiB each | ÷ floor | after the load below, KiB each | ÷ floor |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for (name, loads) in self.names.iter().zip(self.loads) {
            let empty = with_ratio(&loads.empty_mib, &floor.empty_mib, 1);
            let idle = with_ratio(&loads.idle_kib, &floor.idle_kib, 1);
            let after = with_ratio(&loads.after_kib, &floor.after_kib, 1);
            writeln!(f, "| {name} | {empty} | {idle} | {after} |")?;
        }
        Ok(())
    }

    fn broadcasts(
        &self,
        f: &mut fmt::Formatter<'_>,
        floor: &Loads,
        which: impl Fn(&Loads) -> &Broadcasts,
    ) -> fmt::Result {
        writeln!(f, "| | all, ms | ÷ floor | deliveries/s | CPU a delivery, µs | ÷ floor | asking |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let floor = which(floor);
        for (name, loads) in self.names.iter().zip(self.loads) {
            let broadcasts = which(loads);
            let all = with_ratio(&broadcasts.all_ms, &floor.all_ms, 0);
            let rate = spread(&broadcasts.per_second, 0);
            let cpu = with_ratio(&broadcasts.cpu_us, &floor.cpu_us, 2);
            let asking = median(&broadcasts.asking) * 100.0;
            writeln!(f, "| {name} | {all} | {rate} | {cpu} | {asking:.0} % |")?;
        }
        for (name, loads) in self.names.iter().zip(self.loads) {
            if let Some(words) = limited_by_asking(name, &which(loads).asking, "delivery") {
                writeln!(f, "\n{words}")?;
            }
        }
        Ok(())
    }

    fn singles(&self, f: &mut fmt::Formatter<'_>, floor: &Loads) -> fmt::Result {
        writeln!(f, "\n## A message to one client\n\nThe other {CLIENTS} are idle.\n")?;
        writeln!(f, "| | half within, µs | ÷ floor | 99 % within, µs | ÷ floor |\n|---|---|---|---|---|")?;
        for (name, loads) in self.names.iter().zip(self.loads) {
            let half = with_ratio(&loads.single_p50_us, &floor.single_p50_us, 0);
            let most = with_ratio(&loads.single_p99_us, &floor.single_p99_us, 0);
            writeln!(f, "| {name} | {half} | {most} |")?;
        }
        Ok(())
    }
}
