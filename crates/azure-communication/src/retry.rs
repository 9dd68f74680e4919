//! When a call that failed is made again, and after how long. Pure: the jitter is an argument.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// What making a call twice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// There is one thing more: it goes again only where nothing was done.
    Adds,
    /// Nothing that the first had not done already.
    Harmless,
    /// The second may be told that there is nothing left to do, which nobody documents: a 404 is then as good as a yes.
    Vanishes,
}

/// Tries at most, the first included; as many as the official SDKs make.
const MOST_TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Every call counts against the limit, so one that hit it does not come back at once.
const FIRST_WAIT_THROTTLED: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The wait before the next try, or `None` if there should be none.
///
/// `tries` counts those made so far; `jitter` is from 0 to 1. A refused connection and a 429 changed nothing, so any call may go
/// again; after a broken connection, a 408 or a 5xx it may have been done, so only one that adds nothing goes again. A 501 stays one.
pub(crate) fn wait(failure: &Error, repeat: Repeat, tries: u32, jitter: f64) -> Option<Duration> {
    let may_repeat = repeat != Repeat::Adds;
    let first = match (failure.kind(), failure.status()) {
        (ErrorKind::Unreachable, _) => FIRST_WAIT,
        (ErrorKind::Throttled, _) => FIRST_WAIT_THROTTLED,
        (ErrorKind::Interrupted, _) if may_repeat => FIRST_WAIT,
        (ErrorKind::Unavailable, Some(408 | 500 | 502..=504)) if may_repeat => FIRST_WAIT,
        _ => return None,
    };
    let longest = first.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    let own = longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    (tries < MOST_TRIES).then(|| failure.retry_after().map_or(own, |asked| asked.saturating_add(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Repeat; 3] = [Repeat::Adds, Repeat::Harmless, Repeat::Vanishes];

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        Error::refused(status, retry_after.map(Duration::from_secs), None)
    }

    #[test]
    fn what_changed_nothing_is_tried_again_with_any_call() {
        for failure in [ErrorKind::Unreachable.into(), refused(429, None)] {
            assert!(ALL.iter().all(|repeat| wait(&failure, *repeat, 1, 0.5).is_some()), "{failure:?}");
        }
    }

    #[test]
    fn what_may_have_been_done_is_tried_again_only_with_a_call_that_adds_nothing() {
        let refusals = [408, 500, 502, 503, 504].map(|status| refused(status, None));
        for failure in refusals.into_iter().chain([ErrorKind::Interrupted.into()]) {
            assert!(failure.may_have_been_done(), "{failure:?}");
            let again = ALL.map(|repeat| wait(&failure, repeat, 1, 0.5).is_some());
            assert_eq!(again, [false, true, true], "{failure:?}");
        }
    }

    #[test]
    fn what_will_fail_again_is_not_tried_again() {
        let refusals = [302, 400, 401, 403, 404, 422, 501, 505].map(|status| refused(status, Some(0)));
        let kinds =
            [ErrorKind::TimedOut, ErrorKind::UnexpectedAnswer, ErrorKind::NoToken, ErrorKind::Unusable];
        for failure in refusals.into_iter().chain(kinds.map(Error::from)) {
            assert!(ALL.iter().all(|repeat| wait(&failure, *repeat, 1, 0.5).is_none()), "{failure:?}");
        }
    }

    #[test]
    fn waits_grow_stay_apart_and_end() {
        let waits = |failure: Error| -> Vec<_> {
            (1..=4).map(|tries| wait(&failure, Repeat::Adds, tries, 1.0)).collect()
        };
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(waits(ErrorKind::Unreachable.into()), [ms(200), ms(400), ms(800), None]);
        assert_eq!(waits(refused(429, None)), [ms(1_000), ms(2_000), ms(3_000), None]);
        assert_eq!(wait(&ErrorKind::Unreachable.into(), Repeat::Adds, 1, 0.0), ms(100));
    }

    #[test]
    fn the_service_is_never_asked_sooner_than_it_wished() {
        for status in [429, 503] {
            let wait = wait(&refused(status, Some(2)), Repeat::Harmless, 1, 0.0).unwrap();
            assert!(wait >= Duration::from_secs(2));
        }
        let endless = refused(429, Some(u64::MAX));
        assert_eq!(wait(&endless, Repeat::Adds, 1, 1.0), Some(Duration::from_secs(86_401)));
    }
}
