//! Group commit: what goes together, what waits, and what is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::appender::{Appender, Place};
use super::memory_store::{Call, CallStore, MemoryStore, Reply};
use super::reads::Reads;
use super::store::StoreError;
use super::stream::Stream;

const DELAY: Duration = Duration::from_millis(20);

/// A store that takes its time, and may not answer.
#[derive(Debug)]
struct SlowStore {
    store: MemoryStore,
    is_away: AtomicBool,
}

#[async_trait]
impl CallStore for SlowStore {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        sleep(DELAY).await;
        if self.is_away.load(Relaxed) {
            return Err(StoreError::Unknown);
        }
        self.store.apply(&call)
    }
}

fn slow() -> (Arc<SlowStore>, Appender) {
    let store = Arc::new(SlowStore { store: MemoryStore::new(50_000), is_away: AtomicBool::new(false) });
    (store.clone(), Appender::new(store.clone(), Arc::new(Reads::new(store))))
}

async fn append_all(appender: &Appender, count: usize, length: usize) -> Vec<Result<Place, StoreError>> {
    let stream = Stream::everyone();
    join_all((0..count).map(|_| appender.append(&stream, vec![b'x'; length]))).await
}

/// The lengths of the blocks that were appended.
fn blocks(store: &SlowStore) -> Vec<usize> {
    let calls = store.store.take_calls();
    calls
        .iter()
        .filter_map(|call| if let Call::Append(_, _, block, None) = call { Some(block.len()) } else { None })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_together() {
    let (store, appender) = slow();
    append_all(&appender, 1, 10).await[0].clone().unwrap();
    blocks(&store);
    let begin = Instant::now();
    let mut places: Vec<Place> = append_all(&appender, 250, 99).await.into_iter().map(Result::unwrap).collect();
    assert_eq!((blocks(&store), begin.elapsed()), (vec![10_000, 10_000, 5_000], DELAY * 3));
    places.sort_by_key(|place| place.at);
    assert!(places.windows(2).all(|pair| pair[0].next == pair[1].at));
    append_all(&appender, 30, 60_000).await;
    assert_eq!(blocks(&store), [17 * 60_001, 13 * 60_001]);
}

#[tokio::test(start_paused = true)]
async fn streams_do_not_wait_for_each_other() {
    let (store, appender) = slow();
    let streams: Vec<Stream> = (0..50).map(|index| Stream::room(&index.to_string()).unwrap()).collect();
    let begin = Instant::now();
    join_all(streams.iter().map(|stream| appender.append(stream, b"{}".to_vec()))).await;
    assert_eq!((blocks(&store).len(), begin.elapsed()), (50, DELAY * 5));
}

#[tokio::test(start_paused = true)]
async fn the_queue_has_an_end_and_so_has_a_line() {
    let (_, appender) = slow();
    let outcomes = append_all(&appender, 1_500, 10).await;
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(StoreError::Throttled(None))).count();
    assert_eq!((refused, outcomes.iter().filter(|outcome| outcome.is_ok()).count()), (500, 1_000));
    for line in [vec![b'x'; 64 * 1_024], b"a\nb".to_vec()] {
        let outcome = appender.append(&Stream::everyone(), line).await;
        assert!(matches!(outcome, Err(StoreError::Rejected(_))), "{outcome:?}");
    }
    appender.append(&Stream::everyone(), vec![b'x'; 64 * 1_024 - 1]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_an_error_within_three_seconds_and_the_next_line_works() {
    let (store, appender) = slow();
    append_all(&appender, 1, 10).await[0].clone().unwrap();
    store.is_away.store(true, Relaxed);
    let begin = Instant::now();
    let outcomes = append_all(&appender, 250, 10).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Err(StoreError::Unknown)));
    assert!(begin.elapsed() <= Duration::from_secs(3), "{:?}", begin.elapsed());
    store.is_away.store(false, Relaxed);
    let begin = Instant::now();
    append_all(&appender, 1, 10).await[0].clone().unwrap();
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    // Of the lines that were given up, none is said later.
    assert_eq!(blocks(&store).iter().sum::<usize>(), 22);
}

#[tokio::test(start_paused = true)]
async fn a_line_whose_caller_has_gone_is_said_only_if_it_is_on_its_way() {
    let (store, appender) = slow();
    append_all(&appender, 1, 10).await[0].clone().unwrap();
    blocks(&store);
    let stream = Stream::everyone();
    let on_its_way = timeout(DELAY / 2, appender.append(&stream, vec![b'a'; 9]));
    let waiting = timeout(DELAY / 2, async {
        tokio::task::yield_now().await;
        appender.append(&stream, vec![b'b'; 19]).await
    });
    let (on_its_way, waiting) = tokio::join!(on_its_way, waiting);
    assert!(on_its_way.is_err() && waiting.is_err());
    append_all(&appender, 1, 29).await[0].clone().unwrap();
    assert_eq!(blocks(&store), [10, 30]);
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_idle_are_forgotten() {
    let (store, appender) = slow();
    for group in 0..11 {
        let streams: Vec<Stream> = (0..1_000).map(|index| Stream::person(&format!("{group}-{index}"))).collect();
        for outcome in join_all(streams.iter().map(|stream| appender.append(stream, b"{}".to_vec()))).await {
            outcome.unwrap();
        }
        assert!(appender.remembered() <= 10_000);
    }
    assert!(appender.remembered() > 7_000);
    store.store.take_calls();
    for (user, expected) in [("10-0", 1), ("0-0", 3)] {
        appender.append(&Stream::person(user), b"{}".to_vec()).await.unwrap();
        assert_eq!(store.store.take_calls().len(), expected, "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_quiet_for_days_goes_on_in_a_new_part() {
    let (store, appender) = slow();
    let stream = Stream::room("quiet").unwrap();
    let say = async || appender.append(&stream, b"{}".to_vec()).await.unwrap();
    let first = say().await;
    sleep(Duration::from_secs(3_600)).await;
    let same_day = say().await;
    for _ in 0..20 {
        store.store.next_day();
    }
    sleep(Duration::from_secs(20 * 86_400)).await;
    let later = say().await;
    assert_eq!((same_day.next.part, same_day.at), (first.next.part, first.next));
    assert_eq!((later.next.part, later.at), (first.next.part + 1, same_day.next));
}
