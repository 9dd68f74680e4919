//! What an upstream has still to be told of one client: in order, one thing at a time.
//!
//! A client that says more than its upstream takes is not read any further, so the line has an end.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;

use crate::protocol::Frame;

/// Most errands in line.
const LONGEST: usize = 64;

/// Most bytes they may carry together.
const HEAVIEST: usize = 1 << 20;

/// Something to do, and what the client is to be answered when it is done.
pub(super) type Errand = Pin<Box<dyn Future<Output = Option<Frame>> + Send>>;

/// The line of one connection; the first of it is under way.
#[derive(Default)]
pub(super) struct Errands {
    line: VecDeque<(usize, Errand)>,
    bytes: usize,
}

impl Errands {
    /// Whether the client may say more.
    pub(super) fn has_room(&self) -> bool {
        self.line.len() < LONGEST && self.bytes < HEAVIEST
    }

    /// Puts something in line that carries so many bytes. It does not begin before its turn.
    pub(super) fn add(&mut self, bytes: usize, errand: impl Future<Output = Option<Frame>> + Send + 'static) {
        self.bytes += bytes;
        self.line.push_back((bytes, Box::pin(errand)));
    }

    /// Waits until something is done, and there is room again: what the client is to be answered, if anything. For ever, if
    /// there is nothing to do. Nothing is lost when the wait is given up.
    pub(super) async fn done(&mut self) -> Option<Frame> {
        let Some((bytes, errand)) = self.line.front_mut() else { return pending().await };
        let answer = errand.await;
        self.bytes -= *bytes;
        self.line.pop_front();
        answer
    }

    /// Waits until all is done; nobody is there to be answered any more.
    pub(super) async fn finish(self) {
        for (_, errand) in self.line {
            errand.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;
    use tokio::time::{Duration, timeout};

    fn frame(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }

    #[tokio::test(start_paused = true)]
    async fn an_errand_waits_for_the_one_before_it_and_goes_on_after_a_wait_given_up() {
        let mut errands = Errands::default();
        let (done, first) = oneshot::channel::<()>();
        errands.add(1, async move { first.await.ok().map(|()| frame("first")) });
        errands.add(1, async { None });
        errands.add(1, async { Some(frame("third")) });
        assert!(timeout(Duration::from_secs(1), errands.done()).await.is_err());
        done.send(()).unwrap();
        for answer in [Some(frame("first")), None, Some(frame("third"))] {
            assert_eq!(errands.done().await, answer);
        }
        assert!(timeout(Duration::from_secs(1), errands.done()).await.is_err());
    }

    #[test]
    fn the_line_has_an_end_in_number_and_in_bytes() {
        let mut errands = Errands::default();
        errands.add(HEAVIEST, async { None });
        assert!(!errands.has_room());
        let mut errands = Errands::default();
        (0..LONGEST).for_each(|_| errands.add(0, async { None }));
        assert!(!errands.has_room());
    }
}
