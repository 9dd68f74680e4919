//! Which cases to run: `24,45-60`.
//!
//! Numbers are checked here, once: a selection never names a case that does not exist.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Numbers of the first and last case.
pub const CASES: RangeInclusive<u8> = 1..=91;

/// Some of the cases; all by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(Vec<RangeInclusive<u8>>);

impl Selection {
    /// Whether the case is one of them.
    #[must_use]
    pub fn contains(&self, number: u8) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self(vec![CASES])
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| range(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn range(text: &str) -> Result<RangeInclusive<u8>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(first..=last)
}

fn number(text: &str) -> Result<u8, String> {
    let number = text.trim().parse().ok().filter(|number| CASES.contains(number));
    number.ok_or_else(|| {
        format!("`{text}` is not a case: they are numbered {} to {}", CASES.start(), CASES.end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_selected() {
        let selection: Selection = "24, 45-60,91".parse().unwrap();
        let selected: Vec<u8> = (1..=91).filter(|&number| selection.contains(number)).collect();
        assert_eq!(selected, [vec![24], (45..=60).collect(), vec![91]].concat());
    }

    #[test]
    fn what_is_no_case_is_named() {
        for (text, named) in
            [("0", "`0`"), ("92", "`92`"), ("9-", "``"), ("x", "`x`"), ("", "``"), ("1,300", "`300`")]
        {
            let error = text.parse::<Selection>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
        assert_eq!("9-3".parse::<Selection>().unwrap_err(), "`9-3` ends before it begins");
    }

    #[test]
    fn without_a_word_all_are_run() {
        assert!((1..=91).all(|number| Selection::default().contains(number)));
    }
}
