//! How often keys are fetched because a token names one that is not there. Pure: the time is an argument.
//!
//! Such a name may be made up, so it costs the issuer a request only now and then; who comes while one is under way waits for that one.

use std::time::{Duration, SystemTime};

/// As often as other gateways for tokens of Entra do it.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// When that was done last.
#[derive(Debug, Default)]
pub(crate) struct Hurry(Option<SystemTime>);

impl Hurry {
    /// Whether there may be newer keys than those that came at `fetched`, and whoever wants them shall wait for them.
    pub(crate) fn may(&mut self, fetched: SystemTime, now: SystemTime) -> bool {
        match self.0 {
            // Asked for and not yet there.
            Some(asked) if fetched < asked => true,
            Some(asked) if now < asked + PAUSE && asked <= now => false,
            _ => {
                self.0 = Some(now.max(fetched));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_unknown_name_is_worth_a_look_and_the_next_after_a_pause() {
        let mut hurry = Hurry::default();
        assert!(hurry.may(at(0), at(1)));
        assert!(hurry.may(at(0), at(2)), "the keys that were asked for are on their way");
        for now in [3, 4, 300] {
            assert!(!hurry.may(at(2), at(now)), "{now}");
        }
        assert!(hurry.may(at(2), at(301)));
        assert!(!hurry.may(at(302), at(303)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_end_it_for_long() {
        let mut hurry = Hurry::default();
        assert!(hurry.may(at(10_000), at(10_001)));
        assert!(hurry.may(at(10_002), at(5)));
    }
}
