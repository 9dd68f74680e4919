//! Formats the tables and compares the claim with the measurements. The floor is the last target.

use std::fmt;

use crate::clients::CLIENT_COUNT;
use crate::common::{median, saturation_note, spread, with_ratio};
use crate::load::{BROADCASTS, Broadcasts, Loads};
use crate::target::Starts;

/// The claimed limit of memory for an idle connection.
const CONNECTION_KIB: f64 = 20.0;

/// All measurements, each in the order of the targets.
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
            "{BROADCASTS} messages of 1 KiB to {CLIENT_COUNT} clients. Each client got each once and in order."
        );
        writeln!(f, "\n## Broadcasts as fast as they are accepted\n\n{each}\n")?;
        self.broadcasts(f, floor, |loads| &loads.burst)?;
        writeln!(
            f,
            "\n## Broadcasts one at a time\n\nThe same, but each message is sent when all clients have the previous one.\n"
        )?;
        self.broadcasts(f, floor, |loads| &loads.sequential)?;
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
        writeln!(f, "Claim: at most {CONNECTION_KIB} KiB for each idle connection. It {holds}: {worst:.1}.\n")?;
        writeln!(
            f,
            "| | no connections, MiB | ÷ floor | idle, KiB each | ÷ floor | after the load below, KiB each | ÷ floor |"
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
        writeln!(f, "| | all, ms | ÷ floor | deliveries/s | CPU per delivery, µs | ÷ floor | load generator |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let floor = which(floor);
        for (name, loads) in self.names.iter().zip(self.loads) {
            let broadcasts = which(loads);
            let all = with_ratio(&broadcasts.all_ms, &floor.all_ms, 0);
            let rate = spread(&broadcasts.per_second, 0);
            let cpu = with_ratio(&broadcasts.cpu_us, &floor.cpu_us, 2);
            let busy = median(&broadcasts.load_generator_busy) * 100.0;
            writeln!(f, "| {name} | {all} | {rate} | {cpu} | {busy:.0} % |")?;
        }
        for (name, loads) in self.names.iter().zip(self.loads) {
            if let Some(note) = saturation_note(name, &which(loads).load_generator_busy, "delivery") {
                writeln!(f, "\n{note}")?;
            }
        }
        Ok(())
    }

    fn singles(&self, f: &mut fmt::Formatter<'_>, floor: &Loads) -> fmt::Result {
        writeln!(f, "\n## A message to one client\n\nThe other {CLIENT_COUNT} are idle.\n")?;
        writeln!(f, "| | half within, µs | ÷ floor | 99 % within, µs | ÷ floor |\n|---|---|---|---|---|")?;
        for (name, loads) in self.names.iter().zip(self.loads) {
            let half = with_ratio(&loads.single_p50_us, &floor.single_p50_us, 0);
            let most = with_ratio(&loads.single_p99_us, &floor.single_p99_us, 0);
            writeln!(f, "| {name} | {half} | {most} |")?;
        }
        Ok(())
    }
}
