//! `ClockDifference`: how far the clock of this machine is from that of a server, which says so in the header `Date`.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Smaller differences are none: dates have whole seconds, a response takes some, and services accept as much.
const MIN_DIFFERENCE: Duration = Duration::from_secs(60);

/// A difference of more than a minute between the clock of this machine and that of a server. `Display` says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    seconds: u64,
    is_ahead: bool,
}

impl ClockDifference {
    /// The difference of a clock that says `own` while the server's says `server`; `None` if it is a minute at most.
    #[must_use]
    pub fn between(own: SystemTime, server: SystemTime) -> Option<Self> {
        let (difference, is_ahead) = match own.duration_since(server) {
            Ok(ahead) => (ahead, true),
            Err(behind) => (behind.duration(), false),
        };
        (difference > MIN_DIFFERENCE).then_some(Self { seconds: difference.as_secs(), is_ahead })
    }
}

impl fmt::Display for ClockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.is_ahead { "ahead of" } else { "behind" };
        write!(f, "the clock of this machine is {} s {direction} the server's; set it", self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_clock_that_is_more_than_a_minute_off_is_named_with_its_direction() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let server = at(1_800_000_000);
        for (own, expected) in [
            (server, None),
            (at(1_800_000_010), None),
            (at(1_799_999_990), None),
            (at(1_800_000_060), None),
            (at(1_799_999_940), None),
            (at(1_800_000_061), Some("the clock of this machine is 61 s ahead of the server's; set it")),
            (at(1_799_999_939), Some("the clock of this machine is 61 s behind the server's; set it")),
            (at(1_800_000_600), Some("the clock of this machine is 600 s ahead of the server's; set it")),
            (at(1_799_999_400), Some("the clock of this machine is 600 s behind the server's; set it")),
            (UNIX_EPOCH, Some("the clock of this machine is 1800000000 s behind the server's; set it")),
        ] {
            let found = ClockDifference::between(own, server).map(|difference| difference.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }
}
