//! The log with two processes at a time, which are killed at random and replaced: over a folder, and over Azurite with faults.
//!
//! For each seed: what was acknowledged is in the log once as readers see it, every acknowledged position is true, and the parts form one
//! chain without a gap. The processes are this test program, which runs the test [`a_writer`] in them.

use std::collections::BTreeMap;
use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use test_support::azurite::Azurite;
use test_support::process::Process;
use test_support::storage_proxy::{Fault, StorageCall};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::appender::Place;
use super::azurite_tests::{CONTAINER, store_at};
use super::faulty_store::Random;
use super::folder_store::FolderStore;
use super::log::HistoryLog;
use super::log_checks::{check_acknowledged, check_readers, said};
use super::position::PartNumber;
use super::store::LogStore;
use super::stream::Stream;

/// In the environment of a writer: the folder, or the address of the container.
const PLACE: &str = "HISTORY_TEST_PLACE";
/// In the environment of a writer: what the ids of its messages begin with.
const NAME: &str = "HISTORY_TEST_NAME";
const SEEDS: u64 = 20;
/// The processes that write at the same time.
const WRITERS: u64 = 2;
/// How often each of them is started. All but the last one are killed.
const STARTS: u64 = 4;
/// In the environment of a writer: how many messages each of its tasks appends after each other.
const LINES: &str = "HISTORY_TEST_LINES";
/// The tasks of a writer.
const CONCURRENT: usize = 3;
/// How many lines take a folder, and Azurite, about a second.
const FOLDER_LINES: usize = 250;
const AZURITE_LINES: usize = 25;
/// The longest text, repeated characters.
const MAX_TEXT: u64 = 200;

async fn open(place: &str) -> Arc<dyn LogStore> {
    if place.starts_with("http") {
        Arc::new(store_at(place))
    } else {
        Arc::new(FolderStore::open(PathBuf::from(place)).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in the processes that other tests start"]
async fn a_writer() {
    let (Ok(place), Ok(name), Ok(lines)) = (env::var(PLACE), env::var(NAME), env::var(LINES)) else { return };
    let lines: usize = lines.parse().unwrap();
    let (log, random) = (HistoryLog::new(open(&place).await), Random::new(0));
    let write = async |task: usize| {
        for line in 0..lines {
            let (id, text) =
                (format!("{name}-{task}-{line}"), "å".repeat(usize::try_from(random.below(MAX_TEXT)).unwrap()));
            let line = format!(r#"{{"id":"{id}","sender":"ann","text":"{text}"}}"#);
            if let Ok(place) = log.append(&Stream::everyone(), line.into_bytes()).await {
                // Not with `println!`, whose output the test program keeps.
                let line = format!("said {id} {} {}\n", place.at, place.next);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        }
    };
    join_all((0..CONCURRENT).map(write)).await;
}

/// The messages that a writer says it has appended. The last line may have been cut off.
fn acknowledged(writer: &Process) -> Vec<(String, Place)> {
    let text = writer.out.text();
    // Before the first one, the test program has begun a line.
    let said = text.lines().filter_map(|line| Some(line.split_once("said ")?.1));
    let parse = |line: &str| {
        let [id, at, next] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some((id.to_owned(), Place { at: at.parse().ok()?, next: next.parse().ok()? }))
    };
    said.filter_map(parse).collect()
}

/// Runs one process after the other, and returns what they say.
fn run_writers(place: &str, lines: usize, writer: u64, random: &Random) -> Vec<(String, Place)> {
    let mut all = Vec::new();
    for start in 0..STARTS {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "history::process_tests::a_writer", "--ignored", "--test-threads=1"]);
        command.env(PLACE, place).env(LINES, lines.to_string()).env(NAME, format!("{writer}-{start}"));
        let mut process = Process::spawn(&mut command);
        if start + 1 < STARTS {
            process.out.line("said ");
            std::thread::sleep(random.milliseconds(120));
            process.child.kill().unwrap();
            process.end();
        } else {
            assert!(process.end().success(), "{}\n{}", process.out.text(), process.err.text());
        }
        all.extend(acknowledged(&process));
    }
    all
}

async fn read_parts(store: &dyn LogStore) -> Vec<(PartNumber, Vec<u8>, bool)> {
    let mut parts = Vec::new();
    for part in store.list(&Stream::everyone()).await.unwrap().parts {
        let chunk = store.read(&Stream::everyone(), part.number, 0..16 << 20).await.unwrap();
        parts.push((part.number, chunk.bytes.to_vec(), true));
    }
    parts
}

/// Runs the processes of one seed. `settle` waits until nothing lands any more.
fn run_seed(runtime: &Runtime, place: &str, lines: usize, seed: u64, random: &Random, settle: impl FnOnce()) {
    let context = &format!("seed {seed}");
    let mut messages = Vec::new();
    std::thread::scope(|scope| {
        let run = |writer| scope.spawn(move || run_writers(place, lines, writer, random));
        let writers: Vec<_> = (0..WRITERS).map(run).collect();
        for writer in writers {
            messages.extend(writer.join().unwrap());
        }
    });
    settle();
    let acknowledged: BTreeMap<String, Place> = messages.into_iter().collect();
    let least = usize::try_from(WRITERS).unwrap() * CONCURRENT * lines / 2;
    assert!(acknowledged.len() >= least, "{context}: {} acknowledged", acknowledged.len());
    runtime.block_on(async {
        let store = open(place).await;
        let said = said(context, &read_parts(&*store).await);
        check_acknowledged(context, &said, &acknowledged);
        check_readers(context, &said, &HistoryLog::new(store), &Stream::everyone(), random).await;
    });
}

/// Runs the seeds on two threads.
fn run_seeds(run: impl Fn(&Runtime, u64) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                while let Some(seed) = Some(next.fetch_add(1, Relaxed) as u64).filter(|seed| *seed < SEEDS) {
                    run(&runtime, seed);
                }
            });
        }
    });
}

/// About 18 % of the calls fail.
fn fault(call: StorageCall, random: &Random) -> Option<Fault> {
    let is_append = call == StorageCall::Append;
    Some(match random.below(1_000) {
        0..40 => Fault::FailBefore,
        40..90 => Fault::LoseAnswer,
        90..125 => Fault::Late(random.milliseconds(120)),
        // Longer than the log waits.
        125..130 => Fault::Slow(Duration::from_millis(1_200)),
        130..145 => Fault::AnswerAfter(500, "InternalError"),
        145..160 => Fault::Answer(503, "ServerBusy"),
        160..185 if is_append => Fault::Answer(409, "BlockCountExceedsLimit"),
        _ => return None,
    })
}

#[test]
fn two_processes_that_are_killed_lose_and_double_nothing_in_a_folder() {
    run_seeds(|runtime, seed| {
        let folder = env::temp_dir().join(Uuid::new_v4().to_string());
        run_seed(runtime, folder.to_str().unwrap(), FOLDER_LINES, seed, &Random::new(seed), || {});
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
#[ignore = "needs Azurite: part of make e2e"]
fn two_processes_that_are_killed_lose_and_double_nothing_in_azurite() {
    run_seeds(|runtime, seed| {
        // It slows down with what it holds: one for each seed.
        let azurite = runtime.block_on(async { tokio::spawn(Azurite::start(CONTAINER)).await.unwrap() });
        let random = Random::new(seed);
        let faults = random.clone();
        azurite.proxy.inject(move |call| fault(call, &faults));
        run_seed(runtime, &azurite.proxy.url(CONTAINER), AZURITE_LINES, seed, &random, || {
            azurite.proxy.inject(|_| None);
            runtime.block_on(azurite.proxy.settle());
        });
    });
}
