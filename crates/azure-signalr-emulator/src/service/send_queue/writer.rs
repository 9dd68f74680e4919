//! [`Writer`]: sends what is queued for many connections, in one task.
//!
//! A task that is woken for each message of each client costs more than the message. The writer is woken once, and what is queued for
//! a client meanwhile leaves with the same write.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;
use tokio::time::Instant;

/// After so many writes the writer lets other tasks run, so that messages which arrive meanwhile are sent together.
const WRITES_BETWEEN_YIELDS: usize = 16;

/// What a writer writes.
pub(super) trait Write: Send + Sync + 'static {
    /// Writes what is queued, without waiting. `now` is the beginning of the pass.
    fn write(self: Arc<Self>, now: Instant);
}

/// The writer of many queues of type `Q`.
#[derive(Debug)]
pub(crate) struct Writer<Q> {
    schedule: Mutex<Schedule<Q>>,
}

#[derive(Debug)]
struct Schedule<Q> {
    /// The queues with something to send, each once.
    queues: Vec<Arc<Q>>,
    /// Whether there is a task that writes them.
    is_running: bool,
}

impl<Q: Write> Writer<Q> {
    pub(super) fn new() -> Self {
        Self { schedule: Mutex::new(Schedule { queues: Vec::new(), is_running: false }) }
    }

    /// Writes a queue soon, in the task of the writer. To be called in a runtime.
    pub(super) fn schedule(self: &Arc<Self>, queue: Arc<Q>) {
        let mut schedule = self.lock();
        schedule.queues.push(queue);
        if !mem::replace(&mut schedule.is_running, true) {
            drop(schedule);
            tokio::spawn(self.clone().run());
        }
    }

    /// Writes until no queue is scheduled.
    async fn run(self: Arc<Self>) {
        let mut queues = Vec::new();
        while self.take_scheduled(&mut queues) {
            let now = Instant::now();
            for (index, queue) in queues.drain(..).enumerate() {
                if index % WRITES_BETWEEN_YIELDS == WRITES_BETWEEN_YIELDS - 1 {
                    yield_now().await;
                }
                queue.write(now);
            }
        }
    }

    /// Moves the scheduled queues to `queues`, which is empty. False if there are none; then the task ends.
    fn take_scheduled(&self, queues: &mut Vec<Arc<Q>>) -> bool {
        let mut schedule = self.lock();
        mem::swap(&mut schedule.queues, queues);
        schedule.is_running = !queues.is_empty();
        schedule.is_running
    }

    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Schedule<Q>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
