//! One fault at each call that the log makes: failed, lost, late, refused, or the last of its process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::log::{HistoryError, HistoryLog};
use super::memory_store::{Call, CallStore, MemoryStore, Reply};
use super::page::{Cursor, Filter};
use super::store::StoreError;
use super::stream::Stream;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    None,
    /// Not carried out, no answer.
    Fails,
    /// Carried out, no answer.
    LosesAnswer,
    /// No answer, and carried out so many milliseconds later: before or after its repetition.
    LandsLate(u64),
    /// It hangs for so many milliseconds, and is carried out then, whether its caller waits or not.
    Hangs(u64),
    Throttled,
    Rejected,
    /// The process ends before the call.
    EndsBefore,
    /// The process ends after the call.
    EndsAfter,
}

pub(super) const FAULTS: [Fault; 11] = [
    Fault::Fails,
    Fault::LosesAnswer,
    Fault::LandsLate(1),
    Fault::LandsLate(25),
    Fault::LandsLate(70),
    Fault::Hangs(900),
    Fault::Hangs(1_500),
    Fault::Throttled,
    Fault::Rejected,
    Fault::EndsBefore,
    Fault::EndsAfter,
];

/// A process's view of a store, with a fault at one of its calls.
#[derive(Debug)]
pub(super) struct StepStore {
    store: MemoryStore,
    fault: Fault,
    fault_at: usize,
    calls: AtomicUsize,
    has_ended: AtomicBool,
}

impl StepStore {
    pub(super) fn new(store: &MemoryStore, fault: Fault, fault_at: usize) -> Arc<Self> {
        let (calls, has_ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { store: store.clone(), fault, fault_at, calls, has_ended })
    }
}

#[async_trait]
impl CallStore for StepStore {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        let fault = if self.calls.fetch_add(1, Relaxed) == self.fault_at { self.fault } else { Fault::None };
        if matches!(fault, Fault::EndsBefore | Fault::EndsAfter) {
            self.has_ended.store(true, Relaxed);
        }
        if fault == Fault::EndsAfter {
            let _ = self.store.apply(&call);
        }
        if self.has_ended.load(Relaxed) {
            return std::future::pending().await;
        }
        let (store, late) = (self.store.clone(), call.clone());
        let apply_late = |delay| {
            tokio::spawn(async move {
                sleep(Duration::from_millis(delay)).await;
                store.apply(&late)
            })
        };
        match fault {
            Fault::Fails => Err(StoreError::Unknown),
            Fault::LosesAnswer => self.store.apply(&call).and(Err(StoreError::Unknown)),
            Fault::LandsLate(delay) => {
                drop(apply_late(delay));
                Err(StoreError::Unknown)
            }
            Fault::Hangs(delay) => apply_late(delay).await.unwrap(),
            Fault::Throttled => Err(StoreError::Throttled(Some(Duration::from_millis(100)))),
            Fault::Rejected => Err(StoreError::Rejected("AuthorizationPermissionMismatch".to_owned())),
            _ => self.store.apply(&call),
        }
    }
}

const LINES: usize = 9;

/// Writes some lines over several parts and two days. Returns how many calls the process made.
async fn write(store: &MemoryStore, fault: Fault, fault_at: usize) -> usize {
    let name = format!("{fault:?} at call {fault_at}");
    let stream = Stream::everyone();
    let step_store = StepStore::new(store, fault, fault_at);
    let mut log = HistoryLog::new(step_store.clone());
    let mut acknowledged = Vec::new();
    for number in 0..LINES {
        if number == LINES / 2 {
            store.next_day();
        }
        let line = format!(r#"{{"id":"{number}","sender":"ann","text":"hi"}}"#);
        let outcome = timeout(Duration::from_secs(4), log.append(&stream, line.into_bytes())).await.expect("in time");
        match outcome {
            Ok(place) => acknowledged.push((number.to_string(), place.at.to_string(), place.next.to_string())),
            Err(error) => {
                let is_expected = matches!(fault, Fault::Rejected | Fault::EndsBefore | Fault::EndsAfter);
                assert!(is_expected && matches!(error, HistoryError::Unavailable(_)), "{name}: {error}");
            }
        }
        if step_store.has_ended.load(Relaxed) {
            log = HistoryLog::new(Arc::new(store.clone()));
        }
    }
    assert!(acknowledged.len() >= LINES - 1, "{name}: {acknowledged:?}");
    // Late calls have landed.
    sleep(Duration::from_secs(3)).await;
    let page = HistoryLog::new(Arc::new(store.clone()));
    let page = page.page(&stream, Cursor::Newest, 100, Filter::All, Instant::now()).await.unwrap();
    let read: Vec<Value> = page.messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect();
    let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
    let read: Vec<_> = read.iter().map(|line| (text(line, "id"), text(line, "at"), text(line, "next"))).collect();
    for line in &acknowledged {
        assert_eq!(read.iter().filter(|other| other.0 == line.0).collect::<Vec<_>>(), [line], "{name}");
    }
    assert!(read.is_sorted_by_key(|line| line.1.clone()), "{name}: {read:?}");
    assert_eq!((page.before, page.bad_lines, page.lost), (None, 0, false), "{name}");
    step_store.calls.load(Relaxed)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_doubled_whichever_call_fails() {
    // Each part has a first line and two messages.
    let calls = write(&MemoryStore::new(3), Fault::None, 0).await;
    assert!((20..60).contains(&calls), "{calls}");
    for fault in FAULTS {
        for fault_at in 0..calls {
            write(&MemoryStore::new(3), fault, fault_at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_without_faults_makes_no_call_that_it_does_not_need() {
    let (store, stream) = (MemoryStore::new(50_000), Stream::everyone());
    let log = HistoryLog::new(Arc::new(store.clone()));
    for expected in [5, 1, 1] {
        // List, create, list, first line, line.
        log.append(&stream, b"{}".to_vec()).await.unwrap();
        assert_eq!(store.take_calls().len(), expected);
    }
    // Another process lists and reads the end.
    HistoryLog::new(Arc::new(store.clone())).append(&stream, b"{}".to_vec()).await.unwrap();
    assert_eq!(store.take_calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_is_completed_by_repeating_it_whichever_call_ends_it() {
    for fault in FAULTS {
        for fault_at in 0..20 {
            let (store, stream) = (MemoryStore::new(3), Stream::person("ann"));
            let log = HistoryLog::new(Arc::new(store.clone()));
            let say = async |log: &HistoryLog, id: &str| {
                let line = format!(r#"{{"id":"{id}","sender":"ann","text":"hi"}}"#);
                log.append(&stream, line.into_bytes()).await.unwrap()
            };
            for id in ["1", "2", "3", "4", "5"] {
                say(&log, id).await;
            }
            let last = say(&log, "6").await;
            let erasing = HistoryLog::new(StepStore::new(&store, fault, fault_at));
            let first_try = timeout(Duration::from_secs(11), erasing.erase(&stream)).await;
            let is_expected = matches!(fault, Fault::Rejected | Fault::EndsBefore | Fault::EndsAfter);
            assert!(is_expected || first_try == Ok(Ok(())), "{fault:?} at {fault_at}: {first_try:?}");
            HistoryLog::new(Arc::new(store.clone())).erase(&stream).await.unwrap();
            sleep(Duration::from_secs(2)).await;
            // A process that has known the stream before goes on.
            let next = say(&log, "7").await;
            assert!(next.next.part > last.next.part && next.at == last.next, "{fault:?} at {fault_at}: {next:?}");
            let page = log.page(&stream, Cursor::After(last.at), 100, Filter::All, Instant::now()).await.unwrap();
            assert!(page.lost && page.messages.len() == 1 && page.messages[0].contains(r#""id":"7""#), "{page:?}");
        }
    }
}

/// A store in which another process appends to a part just before it is sealed.
#[derive(Debug)]
struct LateWriter(MemoryStore);

#[async_trait]
impl CallStore for LateWriter {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        if let Call::Seal(stream, part @ 8) = &call {
            let line = "{\"id\":\"late\",\"sender\":\"bob\",\"text\":\"hi\"}\n";
            self.0.apply(&Call::Append(stream.clone(), *part, line.into(), None))?;
        }
        self.0.apply(&call)
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_gets_its_first_line_late_may_get_messages_too() {
    let (store, stream) = (MemoryStore::new(50_000), Stream::everyone());
    store.put(&stream, 7, b"{\"part\":7,\"previous\":null}\n{\"id\":\"1\",\"sender\":\"ann\",\"text\":\"hi\"}\n", true);
    store.put(&stream, 8, b"", false);
    store.put(&stream, 9, b"", false);
    let log = HistoryLog::new(Arc::new(LateWriter(store.clone())));
    let place = log.append(&stream, br#"{"id":"2","sender":"ann","text":"hi"}"#.to_vec()).await.unwrap();
    let page = log.page(&stream, Cursor::Newest, 9, Filter::All, Instant::now()).await.unwrap();
    let read: Vec<Value> = page.messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect();
    assert_eq!((read.len(), &read[1]["id"], &read[2]["id"]), (3, &"late".into(), &"2".into()));
    assert!(read[0]["next"] == read[1]["at"] && read[1]["next"] == place.at.to_string(), "{read:?}");
}
