//! Removing messages: faults, several processes, and how long a list gets.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::random::Random;
use tokio::time::{Instant, sleep, timeout};

use super::faulty_store::{Faults, FaultyStore};
use super::log::{HistoryError, HistoryLog};
use super::memory_store::{Call, MemoryStore};
use super::page::{Cursor, Filter};
use super::position::Position;
use super::step_tests::{FAULTS, Fault, StepStore};
use super::store::LogStore as _;
use super::stream::Stream;

const LIST: &str = "removed/everyone.jsonl";

/// Says these messages of Ann's, in parts of at most nine, and returns where they are.
async fn say(store: &MemoryStore, count: usize) -> Vec<Position> {
    let log = HistoryLog::new(Arc::new(store.clone()));
    let mut positions = Vec::new();
    for id in 0..count {
        let line = json!({"id": id.to_string(), "sender": "ann", "text": "hi"}).to_string();
        positions.push(log.append(&Stream::everyone(), line.into_bytes()).await.unwrap().at);
    }
    positions
}

async fn remove(log: &HistoryLog, at: Position) -> Result<String, HistoryError> {
    log.remove(&Stream::everyone(), at, "ann", Instant::now()).await
}

/// Whether each message is removed, as another process finds it.
async fn removed(store: &MemoryStore) -> Vec<bool> {
    removed_in(&HistoryLog::new(Arc::new(store.clone()))).await
}

async fn removed_in(log: &HistoryLog) -> Vec<bool> {
    let page = log.page(&Stream::everyone(), Cursor::Newest, 100, Filter::All, Instant::now()).await.unwrap();
    let messages = page.messages.iter().map(|message| serde_json::from_str::<Value>(message).unwrap());
    messages.map(|message| message["removed"] == true).collect()
}

async fn list(store: &MemoryStore) -> String {
    String::from_utf8(store.read_document(LIST).await.unwrap().unwrap().content.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_answered_once_it_counts_and_can_be_repeated_whichever_call_fails() {
    for fault in FAULTS {
        // The listing, the tail, and two calls of the list; then those of the repetition.
        for fault_at in 0..6 {
            let (store, name) = (MemoryStore::new(10), format!("{fault:?} at call {fault_at}"));
            let at = say(&store, 3).await[1];
            let log = HistoryLog::new(StepStore::new(&store, fault, fault_at));
            let first = timeout(Duration::from_secs(4), remove(&log, at)).await;
            let is_expected = matches!(fault, Fault::Rejected | Fault::EndsBefore | Fault::EndsAfter);
            assert!(is_expected || first.is_ok_and(|first| first.is_ok()), "{name}");
            // Of a process that goes on, or another one.
            let again = if matches!(fault, Fault::EndsBefore | Fault::EndsAfter) {
                HistoryLog::new(Arc::new(store.clone()))
            } else {
                log
            };
            for _ in 0..2 {
                let _ = remove(&again, at).await;
            }
            assert_eq!(remove(&again, at).await.unwrap(), "1", "{name}");
            // Late calls have landed.
            sleep(Duration::from_secs(3)).await;
            assert_eq!(removed(&store).await, [false, true, false], "{name}");
            assert_eq!(list(&store).await.lines().count(), 1, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_at_the_same_time_is_written_together() {
    let store = MemoryStore::new(50_000);
    let positions = say(&store, 100).await;
    let slow = FaultyStore::new(store.clone(), Faults::default(), Random::new(1), Arc::default());
    let log = HistoryLog::new(Arc::new(slow));
    store.take_calls();
    let outcomes = join_all(positions.iter().map(|at| remove(&log, *at))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(removed(&store).await, [true; 100]);
    let writes = store.take_calls().iter().filter(|call| matches!(call, Call::ReplaceDocument(..))).count();
    assert!(writes <= 3, "{writes}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_ends_no_other_removal_and_leaves_none_for_later() {
    for milliseconds in 1..60 {
        let store = MemoryStore::new(50_000);
        let positions = say(&store, 3).await;
        let slow = FaultyStore::new(store.clone(), Faults::default(), Random::new(milliseconds), Arc::default());
        let log = HistoryLog::new(Arc::new(slow));
        let impatient = timeout(Duration::from_millis(milliseconds), remove(&log, positions[0]));
        let patient = timeout(Duration::from_secs(3), remove(&log, positions[1]));
        let (impatient, patient) = tokio::join!(impatient, patient);
        assert!(patient.is_ok_and(|patient| patient.is_ok()), "{milliseconds} ms");
        assert!(removed(&store).await[usize::from(impatient.is_err())], "{milliseconds} ms");
    }
    // Its removal was never begun, so the next one does not make it.
    let store = MemoryStore::new(50_000);
    let positions = say(&store, 2).await;
    let faults = Faults { fails: 1_000, ..Faults::default() };
    let away = Arc::new(FaultyStore::new(store.clone(), Faults::default(), Random::new(1), Arc::default()));
    let log = HistoryLog::new(away.clone());
    assert_eq!(removed_in(&log).await, [false, false]);
    away.set_faults(faults);
    assert!(remove(&log, positions[0]).await.is_err());
    away.set_faults(Faults::default());
    remove(&log, positions[1]).await.unwrap();
    assert_eq!(removed(&store).await, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_sent_and_removed_again_stays_hidden() {
    let store = MemoryStore::new(2);
    // Each part has a first line and one message.
    let positions = say(&store, 8).await;
    let log = HistoryLog::new(Arc::new(store.clone()));
    remove(&log, positions[0]).await.unwrap();
    say(&store, 8).await;
    let again = say(&store, 1).await[0];
    sleep(Duration::from_secs(2)).await;
    remove(&log, again).await.unwrap();
    let part = store.parts(&Stream::everyone()).last().unwrap().0;
    assert!(list(&store).await.starts_with(&format!("{{\"part\":{part},")) && list(&store).await.lines().count() == 1);
    for number in positions[0].part..part {
        store.delete(&Stream::everyone(), number).await.unwrap();
    }
    sleep(Duration::from_secs(2)).await;
    let other = say(&store, 2).await[1];
    sleep(Duration::from_secs(2)).await;
    remove(&log, other).await.unwrap();
    assert_eq!(removed(&store).await, [true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_message_is_hidden_from_the_next_reader_while_others_read() {
    for seed in 0..200 {
        let store = MemoryStore::new(50_000);
        let at = say(&store, 1).await[0];
        let slow = FaultyStore::new(store.clone(), Faults::default(), Random::new(seed), Arc::default());
        let log = HistoryLog::new(Arc::new(slow));
        // One of them begins before the removal is written, and ends afterwards.
        let read_meanwhile = async {
            sleep(Duration::from_millis(seed % 40)).await;
            removed_in(&log).await;
        };
        let remove = async {
            remove(&log, at).await.unwrap();
            for milliseconds in [0, 5, 20] {
                sleep(Duration::from_millis(milliseconds)).await;
                assert_eq!(removed_in(&log).await, [true], "seed {seed}");
            }
        };
        tokio::join!(remove, read_meanwhile);
    }
}

#[tokio::test(start_paused = true)]
async fn no_removal_is_lost_where_processes_and_the_store_fail_at_random() {
    for seed in 0..50 {
        let (store, late) = (MemoryStore::new(10), Arc::new(AtomicUsize::new(0)));
        let positions = say(&store, 40).await;
        let remove_some = async |process: usize| {
            let mut acknowledged = Vec::new();
            let random = Random::new(seed * 100 + process as u64);
            let (often, rarely) = (50, 10);
            let faults = Faults {
                fails: often,
                loses_answer: often,
                lands_late: often,
                ends_before: rarely,
                ends_after: rarely,
                ..Faults::default()
            };
            let faulty = Arc::new(FaultyStore::new(store.clone(), faults, random, late.clone()));
            let log = HistoryLog::new(faulty.clone());
            // Ten messages, each with the one that the next process removes too.
            for index in process * 10..process * 10 + 11 {
                let index = index % positions.len();
                tokio::select! {
                    outcome = remove(&log, positions[index]) => acknowledged.extend(outcome.is_ok().then_some(index)),
                    () = faulty.ended() => break,
                }
            }
            acknowledged
        };
        let acknowledged = join_all((0..4).map(remove_some)).await.concat();
        sleep(Duration::from_secs(1)).await;
        let removed = removed(&store).await;
        assert!(acknowledged.len() > 4, "seed {seed}: {acknowledged:?}");
        assert!(acknowledged.iter().all(|index| removed[*index]), "seed {seed}: {acknowledged:?} {removed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_of_messages_that_are_gone_are_dropped_with_the_next_removal() {
    let store = MemoryStore::new(2);
    // Each part has a first line and one message.
    let positions = say(&store, 8).await;
    let log = HistoryLog::new(Arc::new(store.clone()));
    remove(&log, positions[0]).await.unwrap();
    let part = positions[7].part;
    let line = |part: u32, number: u32| format!("{{\"part\":{part},\"message\":\"{number:032x}\"}}\n");
    let old = [line(part - 6, 1), "no line\n".to_owned(), line(part - 4, 2), line(part - 3, 3), list(&store).await];
    let document = store.read_document(LIST).await.unwrap();
    assert!(store.replace_document(LIST, old.concat().into_bytes(), document.as_ref()).await.unwrap());
    // The oldest part is two later than that of the third line.
    let oldest = store.parts(&Stream::everyone()).into_iter().map(|(number, ..)| number);
    for number in oldest.take_while(|number| *number < part - 1) {
        store.delete(&Stream::everyone(), number).await.unwrap();
    }
    sleep(Duration::from_secs(2)).await;
    remove(&log, positions[7]).await.unwrap();
    let list = list(&store).await;
    assert!(list.starts_with(&old[3]) && list.lines().count() == 3, "{list}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_full_drops_the_oldest() {
    let store = MemoryStore::new(10);
    let at = say(&store, 2).await[1];
    let lines: Vec<_> =
        (0..50_000).map(|number| format!("{{\"part\":{},\"message\":\"{number:032x}\"}}\n", at.part)).collect();
    assert!(store.replace_document(LIST, lines.concat().into_bytes(), None).await.unwrap());
    remove(&HistoryLog::new(Arc::new(store.clone())), at).await.unwrap();
    let list = list(&store).await;
    assert!(list.starts_with(&lines[1]) && list.lines().count() == 50_000);
    assert_eq!(removed(&store).await, [false, true]);
}
