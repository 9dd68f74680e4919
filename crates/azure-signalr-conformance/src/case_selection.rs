//! Which cases to run (`24,45-60,health`), and which ones a service is known to fail (`health = the reason`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::cases::{ALL, CaseInfo};

/// The numbers of all cases.
pub const CASE_NUMBERS: RangeInclusive<u8> = 1..=110;

/// A selection of cases; the default is all of them.
///
/// ```
/// let selection: azure_signalr_conformance::CaseSelection = "24,45-60,negotiate-version-0".parse()?;
/// assert!(selection.contains(50) && selection.contains(10) && !selection.contains(25));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseSelection(Vec<RangeInclusive<u8>>);

impl CaseSelection {
    /// Whether the case is selected.
    pub fn contains(&self, number: u8) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }

    /// The selected cases, ordered by number.
    pub fn cases(&self) -> Vec<CaseInfo> {
        ALL.iter().map(|case| case.info).filter(|case| self.contains(case.number)).collect()
    }
}

impl Default for CaseSelection {
    fn default() -> Self {
        Self(vec![CASE_NUMBERS])
    }
}

/// # Errors
///
/// A sentence that quotes the part that is no case and no range of numbers.
impl FromStr for CaseSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| parse_range(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn parse_range(text: &str) -> Result<RangeInclusive<u8>, String> {
    if let Some(number) = case_number(text) {
        return Ok(number..=number);
    }
    let range = text.split_once('-').and_then(|(first, last)| Some((case_number(first)?, case_number(last)?)));
    let (first, last) = range.ok_or_else(|| {
        let (first, last) = CASE_NUMBERS.into_inner();
        format!("`{text}` is not a case: give a number from {first} to {last}, a range of them, or an id")
    })?;
    if first > last {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(first..=last)
}

/// The number of the case with this number or id.
fn case_number(text: &str) -> Option<u8> {
    let text = text.trim();
    let number = text.parse().ok().filter(|number| CASE_NUMBERS.contains(number));
    number.or_else(|| ALL.iter().find(|case| case.info.id == text).map(|case| case.info.number))
}

/// The cases that one service is known to fail, each with the reason.
///
/// Parsed from lines `CASE = REASON`, where a case is a number or an id; `#` begins a comment. Listed cases are run all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownDifferences(BTreeMap<u8, String>);

impl KnownDifferences {
    /// The reason why the case fails, if it is listed.
    pub fn reason(&self, number: u8) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }

    /// The number of listed cases.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no case is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// # Errors
///
/// A sentence that names the line.
impl FromStr for KnownDifferences {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate();
        let mut reasons = BTreeMap::new();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (number, reason) =
                parse_entry(line).ok_or_else(|| format!("line {}: expected `CASE = REASON`", index + 1))?;
            if reasons.insert(number, reason.to_owned()).is_some() {
                return Err(format!("line {}: case {number} is listed twice", index + 1));
            }
        }
        Ok(Self(reasons))
    }
}

fn parse_entry(line: &str) -> Option<(u8, &str)> {
    let (case, reason) = line.split_once('=')?;
    Some((case_number(case)?, reason.trim())).filter(|(_, reason)| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(selection: &str) -> Vec<u8> {
        selection.parse::<CaseSelection>().unwrap().cases().iter().map(|case| case.number).collect()
    }

    #[test]
    fn every_number_has_its_case() {
        assert!(ALL.iter().map(|case| case.info.number).eq(CASE_NUMBERS));
    }

    #[test]
    fn a_selection_has_numbers_ranges_and_ids() {
        assert_eq!(numbers("24, 45-60,110"), [vec![24], (45..=60).collect(), vec![110]].concat());
        assert_eq!(numbers("health, 1,negotiate-version-0"), [1, 10, 68]);
    }

    #[test]
    fn every_id_selects_its_case() {
        for case in CaseSelection::default().cases() {
            assert_eq!(case.id.parse::<CaseSelection>().unwrap().cases(), [case]);
        }
    }

    #[test]
    fn an_unknown_case_is_quoted() {
        for (text, quoted) in [
            ("0", "`0`"),
            ("111", "`111`"),
            ("9-", "`9-`"),
            ("negotiate-", "`negotiate-`"),
            ("Health", "`Health`"),
            ("", "``"),
            ("1,300", "`300`"),
        ] {
            let error = text.parse::<CaseSelection>().unwrap_err();
            assert!(error.starts_with(quoted), "{text}: {error}");
        }
        assert_eq!("9-3".parse::<CaseSelection>().unwrap_err(), "`9-3` ends before it begins");
    }

    #[test]
    fn the_default_selection_has_all_cases() {
        assert!(CASE_NUMBERS.into_iter().all(|number| CaseSelection::default().contains(number)));
    }

    #[test]
    fn each_line_is_a_case_and_a_reason() {
        let text = "# tokens\n13 = lifetimes are not checked = at all\n\n 84=no stateful reconnect\nhealth = none\n";
        let known: KnownDifferences = text.parse().unwrap();
        assert_eq!(known.len(), 3);
        assert_eq!(known.reason(13), Some("lifetimes are not checked = at all"));
        assert_eq!(known.reason(84), Some("no stateful reconnect"));
        assert_eq!(known.reason(68), Some("none"));
        assert_eq!(known.reason(1), None);
    }

    #[test]
    fn the_error_for_an_invalid_line_has_its_number() {
        for text in ["1 = a\nx = b", "1 = a\n2 =", "1 = a\n111 = b", "1 = a\n2", "1 = a\n1 = b", "68 = a\nhealth = b"] {
            assert!(text.parse::<KnownDifferences>().unwrap_err().starts_with("line 2: "), "{text}");
        }
    }
}
