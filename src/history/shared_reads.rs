//! Reads that several callers need at the same time are made once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// The reads that are under way. There are at most as many as callers.
#[derive(Debug)]
pub(crate) struct SharedReads<K, V>(Mutex<HashMap<K, Read<V>>>);

#[derive(Debug)]
struct Read<V> {
    result: Arc<OnceCell<V>>,
    callers: usize,
}

impl<K, V> Default for SharedReads<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> SharedReads<K, V> {
    /// The result of `read`, or of another caller's read with the same key that is under way. If that caller is dropped, another one's
    /// `read` takes its place.
    ///
    /// The future is small although `read` may be large: the futures of a request contain each other, and are moved on the stack.
    pub(crate) fn get(&self, key: K, read: impl Future<Output = V>) -> impl Future<Output = V> {
        let read = Box::pin(read);
        async move {
            let caller = self.join(key);
            caller.result.get_or_init(|| read).await.clone()
        }
    }

    fn join(&self, key: K) -> Caller<'_, K, V> {
        let mut reads = self.lock();
        let read = reads.entry(key.clone()).or_insert_with(|| Read { result: Arc::default(), callers: 0 });
        read.callers += 1;
        Caller { reads: self, key, result: read.result.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Read<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits for a read. The read is removed with the first that has its result, or the last that gives up.
struct Caller<'a, K: Clone + Eq + Hash, V: Clone> {
    reads: &'a SharedReads<K, V>,
    key: K,
    result: Arc<OnceCell<V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Caller<'_, K, V> {
    fn drop(&mut self) {
        let mut reads = self.reads.lock();
        // Another one with the same key may have begun since.
        let Some(read) = reads.get_mut(&self.key).filter(|read| Arc::ptr_eq(&read.result, &self.result)) else {
            return;
        };
        read.callers -= 1;
        if read.callers == 0 || self.result.initialized() {
            reads.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_read_is_made_once_for_all_that_wait_and_again_afterwards() {
        let (reads, count) = (SharedReads::default(), AtomicUsize::new(0));
        let read = async || {
            sleep(Duration::from_millis(10)).await;
            count.fetch_add(1, Relaxed)
        };
        for expected in [0, 1] {
            assert_eq!(join_all((0..1_000).map(|_| reads.get("a", read()))).await, [expected; 1_000]);
        }
        assert!(reads.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_takes_no_result_from_others() {
        let reads = SharedReads::default();
        let read = async || {
            sleep(Duration::from_millis(10)).await;
            7
        };
        let impatient = timeout(Duration::from_millis(5), reads.get("a", read()));
        let (impatient, patient) = tokio::join!(impatient, reads.get("a", read()));
        assert_eq!((impatient.is_err(), patient), (true, 7));
        assert!(timeout(Duration::from_millis(5), reads.get("a", read())).await.is_err());
        assert!(reads.lock().is_empty());
    }
}
