//! Case numbers: which cases to run (`24,45-60`), and which ones a service is known to fail (`24 = the reason`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The numbers of all cases.
pub const CASE_NUMBERS: RangeInclusive<u8> = 1..=91;

/// A selection of cases; the default is all of them.
///
/// ```
/// let selection: azure_signalr_conformance::CaseSelection = "24,45-60".parse()?;
/// assert!(selection.contains(50) && !selection.contains(25));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseSelection(Vec<RangeInclusive<u8>>);

impl CaseSelection {
    /// Whether the case is selected.
    pub fn contains(&self, number: u8) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

impl Default for CaseSelection {
    fn default() -> Self {
        Self(vec![CASE_NUMBERS])
    }
}

/// # Errors
///
/// A sentence that quotes the part that is not a case number or a range of them.
impl FromStr for CaseSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| parse_range(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn parse_range(text: &str) -> Result<RangeInclusive<u8>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_number(first)?, parse_number(last)?);
    if first > last {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(first..=last)
}

fn parse_number(text: &str) -> Result<u8, String> {
    let number = text.trim().parse().ok().filter(|number| CASE_NUMBERS.contains(number));
    number.ok_or_else(|| {
        let (first, last) = CASE_NUMBERS.into_inner();
        format!("`{text}` is not a case number: cases are numbered {first} to {last}")
    })
}

/// The cases that one service is known to fail, each with the reason.
///
/// Parsed from lines `NUMBER = REASON`; `#` begins a comment. Listed cases are run all the same.
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
                parse_entry(line).ok_or_else(|| format!("line {}: expected `NUMBER = REASON`", index + 1))?;
            if reasons.insert(number, reason.to_owned()).is_some() {
                return Err(format!("line {}: case {number} is listed twice", index + 1));
            }
        }
        Ok(Self(reasons))
    }
}

fn parse_entry(line: &str) -> Option<(u8, &str)> {
    let (number, reason) = line.split_once('=')?;
    let number = number.trim().parse().ok().filter(|number| CASE_NUMBERS.contains(number))?;
    Some((number, reason.trim())).filter(|(_, reason)| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_has_numbers_and_ranges() {
        let selection: CaseSelection = "24, 45-60,91".parse().unwrap();
        let selected: Vec<u8> = (1..=91).filter(|&number| selection.contains(number)).collect();
        assert_eq!(selected, [vec![24], (45..=60).collect(), vec![91]].concat());
    }

    #[test]
    fn an_invalid_case_number_is_quoted() {
        for (text, quoted) in [("0", "`0`"), ("92", "`92`"), ("9-", "``"), ("x", "`x`"), ("", "``"), ("1,300", "`300`")]
        {
            let error = text.parse::<CaseSelection>().unwrap_err();
            assert!(error.contains(quoted), "{text}: {error}");
        }
        assert_eq!("9-3".parse::<CaseSelection>().unwrap_err(), "`9-3` ends before it begins");
    }

    #[test]
    fn the_default_selection_has_all_cases() {
        assert!((1..=91).all(|number| CaseSelection::default().contains(number)));
    }

    #[test]
    fn each_line_is_a_number_and_a_reason() {
        let known: KnownDifferences =
            "# tokens\n13 = lifetimes are not checked = at all\n\n 84=no stateful reconnect\n".parse().unwrap();
        assert_eq!(known.len(), 2);
        assert_eq!(known.reason(13), Some("lifetimes are not checked = at all"));
        assert_eq!(known.reason(84), Some("no stateful reconnect"));
        assert_eq!(known.reason(1), None);
    }

    #[test]
    fn the_error_for_an_invalid_line_has_its_number() {
        for text in ["1 = a\nx = b", "1 = a\n2 =", "1 = a\n92 = b", "1 = a\n2", "1 = a\n1 = b"] {
            assert!(text.parse::<KnownDifferences>().unwrap_err().starts_with("line 2: "), "{text}");
        }
    }
}
