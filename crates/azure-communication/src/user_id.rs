//! The id of a user of the service.
//!
//! It looks as if it had parts (`8:acs:{resource}_{user}`), but they are nobody's contract: it is kept, compared and sent as a whole.

use std::fmt;
use std::str::FromStr;

use crate::value_error::ValueError;

/// Who somebody is to Azure Communication Services: an opaque text the service has made, like `8:acs:…`.
///
/// It stands for a person, so it is personal data: its `Debug` form is always `UserId(***)`, and it has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// In bytes: three times what the service makes.
    const MAX_BYTES: usize = 256;

    /// The id as the service writes it, to be stored or told to its owner, not to be logged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = ValueError;

    /// Web addresses drop `.` and `..`, encoded or not, so no request could be made for them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let right = (1..=Self::MAX_BYTES).contains(&text.len())
            && !text.contains(|c: char| c.is_control() || c.is_whitespace())
            && !matches!(text, "." | "..");
        right.then(|| Self(text.to_owned())).ok_or(ValueError::UserId)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_as_it_is_and_does_not_print() {
        let id: UserId = "8:acs:2dee53b4_0000/ö".parse().unwrap();
        assert_eq!((id.as_str(), format!("{id:?}").as_str()), ("8:acs:2dee53b4_0000/ö", "UserId(***)"));
    }

    #[test]
    fn what_cannot_be_in_an_address_is_no_id() {
        for wrong in ["", " ", "a b", "a\nb", "a\u{a0}b", ".", "..", &"a".repeat(257)] {
            assert_eq!(wrong.parse::<UserId>(), Err(ValueError::UserId), "{wrong:?}");
        }
        "a".repeat(256).parse::<UserId>().unwrap();
    }
}
