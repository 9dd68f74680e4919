//! Counts the instructions of operations with callgrind, and compares them with the committed numbers.
//!
//! The instructions of one operation are the difference between two runs with different numbers of operations, so those of start and
//! shutdown cancel out. They hardly depend on what else runs on the machine.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Result;
use super::cores::Cores;
use super::process::Process;
use super::start::wait_for_response;

/// The comment at the start of the file.
const HEADER: &str = "# Instructions of one operation, counted by callgrind. `.ci/bench --record` writes this file.\n";

/// The increase from which a number is marked, in percent.
const MARKED_RISE: f64 = 10.0;

/// The instructions of each operation, by its name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// How often an operation is performed in the two runs. The shorter one fills caches and buffers.
#[derive(Clone, Copy)]
pub(crate) struct Operations(pub(crate) u32, pub(crate) u32);

/// Returns the instructions of one operation of `target`, a command that will listen on `port`. `operate` performs a number of operations,
/// one at a time, after the process has answered `probe`.
pub(crate) async fn count(
    target: &Command,
    port: u16,
    probe: &[u8],
    operations: Operations,
    cores: Cores,
    operate: impl AsyncFn(&Process, u32) -> Result<()>,
) -> Result<u64> {
    let mut totals = [0; 2];
    for (total, operations) in totals.iter_mut().zip([operations.0, operations.1]) {
        let mut command = under_callgrind(target);
        let (child, _) = cores.spawn(&mut command)?;
        let mut process = Process::new(child, port);
        wait_for_response(&mut process, probe).await?;
        operate(&process, operations).await?;
        *total = collected(&process.terminate()?)?;
    }
    Ok(totals[1].saturating_sub(totals[0]) / u64::from(operations.1 - operations.0))
}

/// The same command under callgrind, which writes its totals to standard error.
fn under_callgrind(target: &Command) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(target.get_program()).args(target.get_args());
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    command.envs(target.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The total in the output of callgrind.
fn collected(output: &str) -> Result<u64> {
    let total = output.lines().find_map(|line| line.split_once("Collected : "));
    let (_, total) = total.ok_or_else(|| format!("callgrind has printed no total: {output}"))?;
    Ok(total.trim().parse()?)
}

/// Replaces the committed numbers of the operations in `counts`, and keeps the others.
pub(crate) fn record(file: &Path, counts: &Counts) -> Result<String> {
    let mut all = read(file)?;
    all.extend(counts.clone());
    let lines = all.iter().fold(HEADER.to_owned(), |lines, (name, count)| format!("{lines}{name}: {count}\n"));
    fs::write(file, lines)?;
    Ok(format!("{} operations are recorded in benches/instructions.txt", counts.len()))
}

/// Compares `counts` with the committed numbers: a table, in which an increase of more than 10 % is marked, and a line about such increases.
pub(crate) fn compare(file: &Path, counts: &Counts) -> Result<String> {
    let committed = read(file)?;
    let mut table =
        "## Instructions of one operation\n\n| | committed | now | change |\n|---|---|---|---|\n".to_owned();
    let mut risen = Vec::new();
    for (name, &count) in counts {
        let Some(&before) = committed.get(name) else {
            writeln!(table, "| {name} | – | {count} | new |")?;
            continue;
        };
        // Without a sign for a change that is shown as zero.
        let change = ((count as f64 / before as f64 - 1.0) * 1e3).round() / 10.0 + 0.0;
        let is_marked = change > MARKED_RISE;
        let mark = if is_marked { " **risen**" } else { "" };
        writeln!(table, "| {name} | {before} | {count} | {change:+.1} %{mark} |")?;
        if is_marked {
            risen.push(name.as_str());
        }
    }
    match risen[..] {
        [] => writeln!(table, "\nNo operation takes over {MARKED_RISE} % more instructions than committed.")?,
        _ => writeln!(table, "\n**Over {MARKED_RISE} % more instructions than committed: {}.**", risen.join(", "))?,
    }
    Ok(table)
}

/// Reads the committed numbers; there are none if the file does not exist.
fn read(file: &Path) -> Result<Counts> {
    let text = if file.exists() { fs::read_to_string(file)? } else { String::new() };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, count) = line.rsplit_once(": ").ok_or_else(|| format!("{}: {line}", file.display()))?;
            Ok((name.to_owned(), count.parse()?))
        })
        .collect()
}
