//! [`Writer`]: sends what is queued for many connections, in one task.
//!
//! A task that is woken for each message of each client costs more than the message. The writer is woken once, and what is queued for
//! a client meanwhile leaves with the same write.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::Instant;

/// After how many writes the writer lets other tasks of its thread run.
const WRITES_PER_TURN: usize = 32;

/// What a writer serves.
pub(super) trait Flush: Send + Sync + 'static {
    /// Writes one batch of what is queued, without waiting, and schedules the queue again if more is left. `now` is the beginning of the pass.
    fn flush(self: Arc<Self>, now: Instant);
}

/// The writer of many queues of type `Q`.
#[derive(Debug)]
pub(crate) struct Writer<Q> {
    schedule: Mutex<Schedule<Q>>,
    /// Notified at the beginning of a pass, when the one before has ended, and when the task ends.
    pass_ended: Arc<Notify>,
}

#[derive(Debug)]
struct Schedule<Q> {
    /// The queues with something to send, each once.
    queues: Vec<Arc<Q>>,
    /// Whether there is a task that writes them.
    is_running: bool,
}

impl<Q: Flush> Writer<Q> {
    pub(super) fn new(pass_ended: Arc<Notify>) -> Self {
        Self { schedule: Mutex::new(Schedule { queues: Vec::new(), is_running: false }), pass_ended }
    }

    pub(super) fn is_running(&self) -> bool {
        self.lock().is_running
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
        let mut pass = Pass { writer: &self, queues: Vec::new(), is_over: false };
        let mut writes = 0;
        while pass.begin() {
            let now = Instant::now();
            while let Some(queue) = pass.queues.pop() {
                queue.flush(now);
                writes += 1;
                if writes == WRITES_PER_TURN {
                    writes = 0;
                    yield_now().await;
                }
            }
        }
    }
}

impl<Q> Writer<Q> {
    /// Poisoning is ignored: no update can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Schedule<Q>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queues that a writer is writing. If its task is dropped, as by the end of a runtime, they are written by the next task.
struct Pass<'a, Q> {
    writer: &'a Writer<Q>,
    /// Last first.
    queues: Vec<Arc<Q>>,
    /// Whether nothing was scheduled. Another task may be running since.
    is_over: bool,
}

impl<Q> Pass<'_, Q> {
    /// Ends the pass before, and takes the scheduled queues. False if there are none.
    fn begin(&mut self) -> bool {
        let mut schedule = self.writer.lock();
        mem::swap(&mut schedule.queues, &mut self.queues);
        self.is_over = self.queues.is_empty();
        schedule.is_running = !self.is_over;
        drop(schedule);
        self.writer.pass_ended.notify_waiters();
        self.queues.reverse();
        !self.is_over
    }
}

impl<Q> Drop for Pass<'_, Q> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut schedule = self.writer.lock();
            self.queues.reverse();
            schedule.queues.splice(0..0, self.queues.drain(..));
            schedule.is_running = false;
            drop(schedule);
            self.writer.pass_ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// A queue that counts its writes, and may schedule itself again during the first.
    struct Counter {
        writer: Arc<Writer<Counter>>,
        writes: AtomicUsize,
        again: bool,
    }

    impl Flush for Counter {
        fn flush(self: Arc<Self>, _: Instant) {
            let is_first = self.writes.fetch_add(1, SeqCst) == 0;
            if is_first && self.again {
                let writer = self.writer.clone();
                writer.schedule(self);
            }
        }
    }

    fn queues(count: usize, again: bool) -> (Arc<Writer<Counter>>, Vec<Arc<Counter>>) {
        let writer = Arc::new(Writer::new(Arc::default()));
        let queue = || Arc::new(Counter { writer: writer.clone(), writes: AtomicUsize::new(0), again });
        let queues = (0..count).map(|_| queue()).collect();
        (writer, queues)
    }

    /// Waits until the task of the writer has ended.
    async fn ended(writer: &Writer<Counter>) {
        while writer.lock().is_running {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn every_scheduled_queue_is_written_once() {
        let (writer, queues) = queues(3 * WRITES_PER_TURN + 1, false);
        for rounds in 1..=2 {
            queues.iter().for_each(|queue| writer.schedule(queue.clone()));
            ended(&writer).await;
            assert!(queues.iter().all(|queue| queue.writes.load(SeqCst) == rounds));
        }
    }

    #[tokio::test]
    async fn a_queue_that_is_scheduled_during_its_write_is_written_again() {
        let (writer, queues) = queues(2, true);
        queues.iter().for_each(|queue| writer.schedule(queue.clone()));
        ended(&writer).await;
        assert!(queues.iter().all(|queue| queue.writes.load(SeqCst) == 2));
    }

    #[test]
    fn queues_of_a_runtime_that_has_ended_are_written_by_the_next_one() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        // The second time, the task ends after the last write of its pass.
        for count in [2 * WRITES_PER_TURN, WRITES_PER_TURN] {
            let (writer, queues) = queues(count + 1, false);
            let (last, first) = queues.split_last().unwrap();
            runtime().block_on(async {
                first.iter().for_each(|queue| writer.schedule(queue.clone()));
                yield_now().await;
            });
            let written = first.iter().filter(|queue| queue.writes.load(SeqCst) == 1).count();
            assert_eq!(written, WRITES_PER_TURN, "the task has ended at its first yield");
            runtime().block_on(async {
                writer.schedule(last.clone());
                ended(&writer).await;
            });
            assert!(queues.iter().all(|queue| queue.writes.load(SeqCst) == 1), "{count}");
        }
    }

    #[tokio::test]
    async fn other_tasks_run_between_the_writes_of_a_pass() {
        let (writer, queues) = queues(2 * WRITES_PER_TURN, false);
        queues.iter().for_each(|queue| writer.schedule(queue.clone()));
        yield_now().await;
        let written = queues.iter().filter(|queue| queue.writes.load(SeqCst) > 0).count();
        assert!(written < queues.len(), "all {written} were written at once");
        ended(&writer).await;
    }
}
