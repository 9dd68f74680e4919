//! The list of what a service is known to do differently, and why: lines `24 = the reason`.
//!
//! It belongs to one service, not to the suite; a case that is on it is run all the same.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::selection::CASES;

/// Reasons by number of the case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<u8, String>);

impl Known {
    /// Why this case differs, if that is known.
    #[must_use]
    pub fn reason(&self, number: u8) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }

    /// How many cases are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Known {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate();
        let mut known = BTreeMap::new();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (number, reason) =
                entry(line).ok_or_else(|| format!("line {}: expected `NUMBER = REASON`", index + 1))?;
            if known.insert(number, reason.to_owned()).is_some() {
                return Err(format!("line {}: case {number} is listed twice", index + 1));
            }
        }
        Ok(Self(known))
    }
}

fn entry(line: &str) -> Option<(u8, &str)> {
    let (number, reason) = line.split_once('=')?;
    let number = number.trim().parse().ok().filter(|number| CASES.contains(number))?;
    Some((number, reason.trim())).filter(|(_, reason)| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_number_and_a_reason() {
        let known: Known =
            "# tokens\n13 = lifetimes are not looked at = at all\n\n 84=no stateful reconnect\n"
                .parse()
                .unwrap();
        assert_eq!(known.len(), 2);
        assert_eq!(known.reason(13), Some("lifetimes are not looked at = at all"));
        assert_eq!(known.reason(84), Some("no stateful reconnect"));
        assert_eq!(known.reason(1), None);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for text in ["1 = a\nx = b", "1 = a\n2 =", "1 = a\n92 = b", "1 = a\n2", "1 = a\n1 = b"] {
            assert!(text.parse::<Known>().unwrap_err().starts_with("line 2: "), "{text}");
        }
    }
}
