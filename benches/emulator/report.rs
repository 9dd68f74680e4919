//! Formats the tables and compares the claim with the measurements. The floor is the last target.

use std::fmt;

use crate::clients::CLIENT_COUNT;
use crate::common::{Column, median, percent, spread, with_ratio, write_saturation_notes, write_table};
use crate::load::{BROADCASTS, Broadcasts, Loads};

/// The claimed limit of memory for an idle connection.
const CONNECTION_KIB: f64 = 20.0;

/// All measurements, each in the order of the targets.
pub(crate) struct Report<'a> {
    pub(crate) names: &'a [&'static str],
    /// Milliseconds from before the process was created to the line `ready`, one value per round.
    pub(crate) starts_ms: &'a [Vec<f64>],
    pub(crate) loads: &'a [Loads],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([.., floor_starts], [.., floor]) = (self.starts_ms, self.loads) else { return Ok(()) };
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
    fn start(&self, f: &mut fmt::Formatter<'_>, floor: &[f64]) -> fmt::Result {
        writeln!(f, "## Start of the emulator\n")?;
        let columns: [Column<'_, Vec<f64>>; 1] = [("line with `ready`, ms | ÷ floor", &|ms| with_ratio(ms, floor, 1))];
        write_table(f, self.names, self.starts_ms, &columns)
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>, floor: &Loads) -> fmt::Result {
        let worst = self.loads.iter().map(|loads| median(&loads.idle_kib)).fold(0.0, f64::max);
        let holds = if worst <= CONNECTION_KIB { "holds" } else { "does not hold in this run" };
        writeln!(f, "\n## Memory of idle connections\n")?;
        writeln!(f, "Claim: at most {CONNECTION_KIB} KiB for each idle connection. It {holds}: {worst:.1}.\n")?;
        let columns: [Column<'_, Loads>; 3] = [
            ("no connections, MiB | ÷ floor", &|loads| with_ratio(&loads.empty_mib, &floor.empty_mib, 1)),
            ("idle, KiB each | ÷ floor", &|loads| with_ratio(&loads.idle_kib, &floor.idle_kib, 1)),
            ("after the load below, KiB each | ÷ floor", &|loads| with_ratio(&loads.after_kib, &floor.after_kib, 1)),
        ];
        write_table(f, self.names, self.loads, &columns)
    }

    fn broadcasts(
        &self,
        f: &mut fmt::Formatter<'_>,
        floor: &Loads,
        which: impl Fn(&Loads) -> &Broadcasts,
    ) -> fmt::Result {
        let floor = which(floor);
        let columns: [Column<'_, Loads>; 4] = [
            ("all, ms | ÷ floor", &|loads| with_ratio(&which(loads).all_ms, &floor.all_ms, 0)),
            ("deliveries/s", &|loads| spread(&which(loads).per_second, 0)),
            ("CPU per delivery, µs | ÷ floor", &|loads| with_ratio(&which(loads).cpu_us, &floor.cpu_us, 2)),
            ("load generator", &|loads| percent(&which(loads).load_generator_busy)),
        ];
        write_table(f, self.names, self.loads, &columns)?;
        let busy = self.loads.iter().map(|loads| which(loads).load_generator_busy.as_slice());
        write_saturation_notes(f, self.names, busy, "delivery")
    }

    fn singles(&self, f: &mut fmt::Formatter<'_>, floor: &Loads) -> fmt::Result {
        writeln!(f, "\n## A message to one client\n\nThe other {CLIENT_COUNT} are idle.\n")?;
        let columns: [Column<'_, Loads>; 2] = [
            ("half within, µs | ÷ floor", &|loads| with_ratio(&loads.single_p50_us, &floor.single_p50_us, 0)),
            ("99 % within, µs | ÷ floor", &|loads| with_ratio(&loads.single_p99_us, &floor.single_p99_us, 0)),
        ];
        write_table(f, self.names, self.loads, &columns)
    }
}
