//! Whether this machine's clock agrees with a server's. Tokens begin and end by the clock: one that is wrong makes every key look wrong.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimeParser;

use super::finding::Finding;

/// What services forgive.
const FORGIVEN: Duration = Duration::from_secs(5 * 60);

/// Compares `now` here with `date`, the header of an answer that has just come.
pub(super) fn judge(date: &str, now: SystemTime) -> Option<Finding> {
    let there = SystemTime::from(DateTimeParser::new().parse_timestamp(date).ok()?);
    let (off, way) = match now.duration_since(there) {
        Ok(ahead) => (ahead, "ahead"),
        Err(behind) => (behind.duration(), "behind"),
    };
    Some(if off > FORGIVEN {
        let what =
            format!("this machine is {} minutes {way}: tokens made here are refused", off.as_secs() / 60);
        Finding::wrong("clock", what, "timedatectl set-ntp true")
    } else {
        Finding::ok("clock", "agrees with the server's")
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn more_than_five_minutes_is_wrong_either_way() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let there = SystemTime::from("1994-11-06T08:49:37Z".parse::<Timestamp>().unwrap());
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (now, wrong) in [
            (there, false),
            (there + minutes(5), false),
            (there - minutes(5), false),
            (there + minutes(7), true),
            (there - minutes(7), true),
        ] {
            assert_eq!(judge(date, now).unwrap().is_wrong(), wrong);
        }
        assert!(format!("{:?}", judge(date, there - minutes(7))).contains("7 minutes behind"));
    }

    #[test]
    fn a_header_that_is_no_date_says_nothing() {
        assert_eq!(judge("yesterday", SystemTime::UNIX_EPOCH), None);
    }
}
