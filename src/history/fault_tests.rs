//! The log over a store that fails at random, with eight processes that end at random.
//!
//! For each seed: what was acknowledged is in the log once as readers see it, every acknowledged position is true, and the parts form one
//! chain without a gap.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use test_support::random::Random;
use tokio::sync::Barrier;
use tokio::time::{Instant, sleep, timeout};

use super::appender::Place;
use super::faulty_store::{Faults, FaultyStore};
use super::log::{HistoryError, HistoryLog};
use super::log_checks::{Said, check_acknowledged, check_readers, parse, place, said};
use super::memory_store::{Call, MemoryStore};
use super::page::{Cursor, Filter};
use super::position::Position;
use super::stream::Stream;

const WRITERS: usize = 8;
const ROUNDS: usize = 24;
const MAX_BLOCKS: usize = 40;
/// Of the paused clock; a run takes about ten seconds of it.
const MAX_TIME: Duration = Duration::from_secs(600);
const FAULTS: Faults =
    Faults { fails: 40, loses_answer: 50, lands_late: 45, ends_before: 8, ends_after: 7, says_full: 10 };
/// A reader has the same faults, and does not end.
const READER_FAULTS: Faults =
    Faults { fails: 75, loses_answer: 75, lands_late: 0, ends_before: 0, ends_after: 0, says_full: 0 };
const NO_FAULTS: Faults =
    Faults { fails: 0, loses_answer: 0, lands_late: 0, ends_before: 0, ends_after: 0, says_full: 0 };

struct World {
    seed: u64,
    store: MemoryStore,
    stream: Stream,
    random: Random,
    late: Arc<AtomicUsize>,
    acknowledged: Mutex<BTreeMap<String, Place>>,
    has_ended: AtomicBool,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            store: MemoryStore::new(MAX_BLOCKS),
            stream: Stream::everyone(),
            random: Random::new(seed),
            late: Arc::default(),
            acknowledged: Mutex::default(),
            has_ended: AtomicBool::new(false),
        }
    }

    fn process(&self, faults: Faults) -> (Arc<FaultyStore>, HistoryLog) {
        let store = FaultyStore::new(self.store.clone(), faults, self.random.clone(), self.late.clone());
        let store = Arc::new(store);
        (store.clone(), HistoryLog::new(store))
    }

    /// Writes, in one process after the other. In the middle, all writers wait until the log has been deleted.
    async fn write(&self, writer: usize, middle: &Barrier) {
        let (mut store, mut log) = self.process(FAULTS);
        for round in 0..ROUNDS {
            if round == ROUNDS / 2 && middle.wait().await.is_leader() {
                self.store.next_day();
                self.delete_parts(0, 100);
            }
            if round == ROUNDS / 2 {
                middle.wait().await;
            }
            if self.random.below(100) < 3 {
                // Others begin new parts meanwhile.
                sleep(self.random.milliseconds(2_000)).await;
            }
            let ids = (0..=self.random.below(3)).map(|index| format!("{writer}-{round}-{index}"));
            tokio::select! {
                biased;
                _ = join_all(ids.map(|id| self.append(&log, id))) => {}
                () = store.ended() => {}
            }
            if store.has_ended() {
                (store, log) = self.process(FAULTS);
            }
        }
    }

    async fn append(&self, log: &HistoryLog, id: String) {
        let text = "å".repeat(1 + usize::try_from(self.random.below(30)).unwrap());
        let line = format!(r#"{{"id":"{id}","sender":"ann","text":"{text}"}}"#);
        if let Ok(place) = log.append(&self.stream, line.into_bytes()).await {
            self.acknowledged.lock().unwrap().insert(id, place);
        }
    }

    /// Deletes sealed parts, except for the newest ones, each with a chance. No part is spared if none is kept.
    fn delete_parts(&self, kept: usize, percent: u64) {
        let parts = self.store.parts(&self.stream);
        for (number, _, sealed) in &parts[..parts.len().saturating_sub(kept)] {
            if (*sealed || kept == 0) && self.random.below(100) < percent {
                self.store.apply(&Call::Delete(self.stream.clone(), *number)).unwrap();
            }
        }
    }

    async fn delete(&self) {
        while !self.has_ended.load(Relaxed) {
            sleep(Duration::from_millis(40)).await;
            self.delete_parts(6, 50);
            if self.random.below(100) == 0 {
                self.store.next_day();
            }
        }
    }

    /// Reads from one position to the next until nothing is written any more. Returns the messages, and between which positions the
    /// reader was told that messages are lost.
    async fn follow(&self) -> (Vec<Value>, Vec<(Position, Position)>) {
        let (_, log) = self.process(READER_FAULTS);
        let (mut messages, mut lost, mut after) = (Vec::new(), Vec::new(), None::<Position>);
        // Where the reader was when its position was invalid.
        let mut left = None;
        loop {
            sleep(self.random.milliseconds(30)).await;
            let is_last = self.has_ended.load(Relaxed) && self.late.load(Relaxed) == 0;
            let cursor = after.map_or(Cursor::Newest, Cursor::After);
            let limit = 1 + usize::try_from(self.random.below(20)).unwrap();
            let page = match log.page(&self.stream, cursor, limit, Filter::All, Instant::now()).await {
                Ok(page) => page,
                Err(HistoryError::InvalidCursor) => {
                    // Its part is gone, and a late call has created another one with this number.
                    left = after.take();
                    continue;
                }
                Err(_) => continue,
            };
            assert_eq!(page.bad_lines, 0, "seed {}", self.seed);
            // What was said before the reader came is not looked for.
            let from = after.or(left.take()).or(page.before.map(|_| Position::new(0, 0)));
            if let Some(from) = from.filter(|_| page.lost || after.is_none()) {
                let to = page.messages.first().map_or(page.after, |first| Some(place(&parse(first)).at));
                lost.push((from, to.unwrap_or(from)));
            }
            messages.extend(page.messages.iter().map(|message| parse(message)));
            after = page.after.or(after);
            if is_last && !page.more && !page.lost && page.messages.is_empty() {
                return (messages, lost);
            }
        }
    }

    async fn run(&self) {
        let middle = Barrier::new(WRITERS);
        let writers = async {
            join_all((0..WRITERS).map(|writer| self.write(writer, &middle))).await;
            while self.late.load(Relaxed) > 0 {
                sleep(Duration::from_millis(10)).await;
            }
            // What the log reads once is kept for a second.
            sleep(Duration::from_secs(2)).await;
            self.has_ended.store(true, Relaxed);
        };
        let ((), (followed, lost), ()) = tokio::join!(writers, self.follow(), self.delete());
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        assert!(acknowledged.len() > WRITERS * ROUNDS, "seed {}: {} acknowledged", self.seed, acknowledged.len());
        let context = format!("seed {}", self.seed);
        let truth = said(&context, &self.store.all_parts(&self.stream));
        check_acknowledged(&context, &truth, &acknowledged);
        self.check_followed(&truth, &followed, &lost);
        check_readers(&context, &truth, &self.process(NO_FAULTS).1, &self.stream, &self.random).await;
    }

    /// The reader has seen each message once and in order, except where it was told that some are lost.
    fn check_followed(&self, truth: &[Said], followed: &[Value], lost: &[(Position, Position)]) {
        let places: Vec<Place> = followed.iter().map(place).collect();
        for pair in places.windows(2) {
            assert!(pair[0].next <= pair[1].at, "seed {}: {:?} follows {:?}", self.seed, pair[1], pair[0]);
        }
        let mut said = HashMap::new();
        for Said { id, place, .. } in truth {
            let first = said.entry(id).or_insert(place);
            let is_lost = lost.iter().any(|(from, to)| *from <= place.at && (place.at < *to || place.next <= *to));
            let is_seen = places.contains(place);
            assert!(
                is_seen || is_lost || *first != place,
                "seed {}: {id} at {place:?} was missed; {lost:?}",
                self.seed
            );
        }
    }
}

/// Runs each seed with a runtime of its own, on two threads.
fn run_seeds(seeds: std::ops::Range<u64>) {
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let seeds = seeds.clone().filter(move |seed| seed % 2 == thread);
            scope.spawn(move || {
                for seed in seeds {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
                    let run = async { timeout(MAX_TIME, World::new(seed).run()).await };
                    assert!(runtime.unwrap().block_on(run).is_ok(), "seed {seed} does not end");
                }
            });
        }
    });
}

#[test]
fn what_is_acknowledged_is_in_the_log_once_whatever_fails() {
    run_seeds(0..200);
}

#[test]
#[ignore = "takes a minute: part of make soak"]
fn what_is_acknowledged_is_in_the_log_once_whatever_fails_for_many_seeds() {
    run_seeds(0..1_000);
}
