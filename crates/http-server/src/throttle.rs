//! [`Throttle`]: at most one warning a minute.

use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(60);

/// Says when the next warning may be logged.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    /// Whether a warning may be logged at `now`. If so, it counts as logged.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_a_minute_is_admitted() {
        let (start, mut throttle) = (Instant::now(), Throttle::default());
        let admitted = [0, 1, 59, 60, 61, 119, 120, 1_000].map(|s| throttle.admit(start + Duration::from_secs(s)));
        assert_eq!(admitted, [true, false, false, true, false, false, true, true]);
    }
}
