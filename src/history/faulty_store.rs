//! A store for tests that fails, loses answers, carries out calls late and ends the process that calls it, at random.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use test_support::random::Random;
use tokio::sync::watch;
use tokio::time::sleep;

use super::memory_store::{Call, CallStore, MemoryStore, Reply};
use super::store::StoreError;

/// How many of 1,000 calls have each fault.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Not carried out, and no answer.
    pub(super) fails: u64,
    /// Carried out, and no answer.
    pub(super) loses_answer: u64,
    /// Carried out later, and no answer.
    pub(super) lands_late: u64,
    /// The process ends before the call.
    pub(super) ends_before: u64,
    /// The process ends after the call.
    pub(super) ends_after: u64,
    /// Of appends: refused as if the part was full, although others, and late ones, are not.
    pub(super) says_full: u64,
}

/// The store as one process sees it. Calls of a process that has ended do not return.
#[derive(Debug)]
pub(super) struct FaultyStore {
    store: MemoryStore,
    faults: Mutex<Faults>,
    random: Random,
    has_ended: watch::Sender<bool>,
    /// The calls of all processes that will be carried out late.
    late: Arc<AtomicUsize>,
}

impl FaultyStore {
    pub(super) fn new(store: MemoryStore, faults: Faults, random: Random, late: Arc<AtomicUsize>) -> Self {
        Self { store, faults: Mutex::new(faults), random, has_ended: watch::Sender::new(false), late }
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    /// Waits until the process has ended.
    pub(super) async fn ended(&self) {
        let _ = self.has_ended.subscribe().wait_for(|has_ended| *has_ended).await;
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.has_ended.borrow()
    }

    async fn end(&self) -> Result<Reply, StoreError> {
        self.has_ended.send_replace(true);
        std::future::pending().await
    }
}

#[async_trait]
impl CallStore for FaultyStore {
    async fn call(&self, call: Call) -> Result<Reply, StoreError> {
        if self.has_ended() {
            return self.end().await;
        }
        sleep(self.random.milliseconds(5)).await;
        let Faults { fails, loses_answer, lands_late, ends_before, ends_after, says_full } =
            *self.faults.lock().unwrap();
        // Each fault has a range of its own.
        let (chance, mut below) = (self.random.below(1_000), 0);
        let mut happens = |of_1000: u64| {
            below += of_1000;
            chance < below
        };
        if happens(fails) {
            return Err(StoreError::Unknown);
        }
        if happens(ends_before) {
            return self.end().await;
        }
        if happens(says_full) && matches!(call, Call::Append(..)) {
            return Err(StoreError::BlockCountExceedsLimit);
        }
        if happens(lands_late) {
            let (store, late, delay) = (self.store.clone(), self.late.clone(), self.random.milliseconds(120));
            late.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                sleep(delay).await;
                let _ = store.apply(&call);
                late.fetch_sub(1, Relaxed);
            });
            return Err(StoreError::Unknown);
        }
        let outcome = self.store.apply(&call);
        sleep(self.random.milliseconds(5)).await;
        if happens(ends_after) {
            return self.end().await;
        }
        if happens(loses_answer) { Err(StoreError::Unknown) } else { outcome }
    }
}
