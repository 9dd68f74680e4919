//! What time it is for an emulator. Times are whole seconds since 1970 throughout this crate.
//!
//! Nothing here looks at a clock: the machine's time is an argument.

use serde::{Deserialize, Serialize};

/// The last second that dates can write, 9999-12-31T23:59:59Z; no clock goes further.
const LAST: u64 = 253_402_300_799;

/// The time an emulator goes by, for the dates of requests and the lives of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Clock {
    /// The machine's, so many seconds ahead of it, or behind it where negative.
    Running {
        /// Seconds.
        ahead: i64,
    },
    /// Stands until told otherwise.
    Standing {
        /// Seconds since 1970.
        at: u64,
    },
}

/// The machine's own.
impl Default for Clock {
    fn default() -> Self {
        Self::Running { ahead: 0 }
    }
}

impl Clock {
    pub(crate) fn now(self, machine: u64) -> u64 {
        let time = match self {
            Self::Running { ahead } => machine.saturating_add_signed(ahead),
            Self::Standing { at } => at,
        };
        time.min(LAST)
    }

    pub(crate) fn advanced(self, seconds: u64) -> Self {
        match self {
            Self::Running { ahead } => Self::Running { ahead: ahead.saturating_add_unsigned(seconds) },
            Self::Standing { at } => Self::Standing { at: at.saturating_add(seconds) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_clock_follows_the_machine_and_a_standing_one_does_not() {
        let (running, standing) = (Clock::Running { ahead: -10 }, Clock::Standing { at: 50 });
        assert_eq!([running.now(100), running.now(101), running.advanced(60).now(101)], [90, 91, 151]);
        assert_eq!([standing.now(100), standing.advanced(60).now(101)], [50, 110]);
    }

    #[test]
    fn no_setting_leads_further_than_dates_go() {
        let extremes = [Clock::Running { ahead: i64::MAX }, Clock::Standing { at: u64::MAX }];
        for clock in extremes.map(|clock| clock.advanced(u64::MAX)) {
            assert_eq!(clock.now(u64::MAX), LAST);
        }
    }
}
