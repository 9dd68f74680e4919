//! When a call that failed is made again, and after how long. Pure: the jitter is an argument.

use std::time::Duration;

use crate::error::Kind;

/// Tries at most, the first included.
const MOST_TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The wait before the next try, or `None` if there should be none.
///
/// `tries` counts those made so far; `jitter` is from 0 to 1. A refused connection and a 429 changed nothing, so any message may go
/// again; after a 502, 503, 504 or a broken connection the message may have arrived, so only a repeatable one goes again.
pub(crate) fn wait(failure: &Kind, repeatable: bool, tries: u32, jitter: f64) -> Option<Duration> {
    let (safe, asked) = match failure {
        Kind::Unreachable => (true, None),
        Kind::Interrupted => (repeatable, None),
        Kind::Rejected { status: 429, retry_after, .. } => (true, *retry_after),
        Kind::Rejected { status: 502..=504, retry_after, .. } => (repeatable, *retry_after),
        _ => (false, None),
    };
    let longest = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    let own = longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    (safe && tries < MOST_TRIES).then(|| asked.map_or(own, |asked| asked + own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(status: u16, retry_after: Option<u64>) -> Kind {
        Kind::Rejected { status, code: None, retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn what_changed_nothing_is_tried_again_with_any_message() {
        for failure in [Kind::Unreachable, rejected(429, None)] {
            assert!(wait(&failure, false, 1, 0.5).is_some(), "{failure:?}");
        }
    }

    #[test]
    fn what_may_have_arrived_is_tried_again_only_with_a_repeatable_message() {
        for failure in [Kind::Interrupted, rejected(502, None), rejected(503, None), rejected(504, None)] {
            assert!(wait(&failure, false, 1, 0.5).is_none(), "{failure:?}");
            assert!(wait(&failure, true, 1, 0.5).is_some(), "{failure:?}");
        }
    }

    #[test]
    fn what_will_fail_again_is_not_tried_again() {
        for failure in [
            rejected(400, None),
            rejected(401, None),
            rejected(413, None),
            rejected(500, None),
            Kind::TimedOut,
        ] {
            assert!(wait(&failure, true, 1, 0.5).is_none(), "{failure:?}");
        }
    }

    #[test]
    fn waits_grow_stay_apart_and_end() {
        let waits: Vec<_> = (1..=5).map(|tries| wait(&Kind::Unreachable, true, tries, 1.0)).collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(waits, [ms(200), ms(400), ms(800), ms(1_600), None]);
        assert_eq!(wait(&Kind::Unreachable, true, 1, 0.0), ms(100));
    }

    #[test]
    fn the_service_is_never_asked_sooner_than_it_wished() {
        assert!(wait(&rejected(429, Some(2)), false, 1, 0.0).unwrap() >= Duration::from_secs(2));
    }
}
