//! The setting of how many messages a person may send.

use std::time::Duration;

use super::{ConfigError, Env, MESSAGE_RATE};
use crate::rate_limiter::Rate;

const DEFAULT: Rate = Rate::new(60, Duration::from_millis(200));

const RULE: &str = "must be how many messages at once and how many per second afterwards, such as 60/5: 1 to 10000, and 0.01 to \
                    10000; or 0 for no limit";

/// Reads the rate; `None` for no limit.
pub(super) fn read(env: &Env) -> Result<Option<Rate>, ConfigError> {
    match env.get(MESSAGE_RATE) {
        None => Ok(Some(DEFAULT)),
        Some("0") => Ok(None),
        Some(text) => parse(text).map(Some).ok_or_else(|| ConfigError::new(MESSAGE_RATE, RULE)),
    }
}

fn parse(text: &str) -> Option<Rate> {
    let (burst, per_second) = text.split_once('/')?;
    let burst = burst.trim().parse().ok().filter(|burst| (1..=10_000).contains(burst))?;
    let per_second: f64 = per_second.trim().parse().ok().filter(|rate| (0.01..=10_000.0).contains(rate))?;
    Some(Rate::new(burst, Duration::from_secs_f64(1.0 / per_second)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{problems, read};

    #[test]
    fn a_rate_is_a_burst_and_a_number_per_second() {
        for (text, burst, interval) in [
            ("60/5", 60, Duration::from_millis(200)),
            (" 1 / 1 ", 1, Duration::from_secs(1)),
            ("10/0.5", 10, Duration::from_secs(2)),
            ("1/0.01", 1, Duration::from_secs(100)),
            ("10000/10000", 10_000, Duration::from_micros(100)),
        ] {
            assert_eq!(read(&[(MESSAGE_RATE, text)]).unwrap().message_rate, Some(Rate::new(burst, interval)), "{text}");
        }
    }

    #[test]
    fn without_the_setting_a_burst_of_sixty_and_five_per_second_are_allowed_and_zero_is_no_limit() {
        for variables in [&[][..], &[(MESSAGE_RATE, " ")]] {
            assert_eq!(read(variables).unwrap().message_rate, Some(Rate::new(60, Duration::from_millis(200))));
        }
        assert_eq!(read(&[(MESSAGE_RATE, "0")]).unwrap().message_rate, None);
    }

    #[test]
    fn what_is_no_rate_is_a_problem() {
        for text in [
            "hush", "60", "/", "60/", "/5", "0/5", "60/0", "-1/5", "60/-5", "1.5/5", "60/inf", "60/nan", "10001/5",
            "60/10001", "60/0.001", "60/5/1", "60:5", "off",
        ] {
            assert_eq!(problems(&[(MESSAGE_RATE, text)]), [MESSAGE_RATE], "{text}");
        }
    }
}
