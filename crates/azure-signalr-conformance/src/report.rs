//! The report of a run, as a table for a terminal, in Markdown or in JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case_result::Outcome;

/// A case and its outcome.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The number of the case.
    pub number: u8,
    /// The subject of the case.
    pub title: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// What the suite simulates in place of a program it cannot run.
    pub note: Option<&'static str>,
    /// Whether the list of known differences has the case.
    pub is_known_difference: bool,
}

/// The outcomes of all selected cases.
#[derive(Clone, Debug)]
pub struct Report {
    /// The cases, ordered by number.
    pub cases: Vec<CaseReport>,
}

/// The format of a rendered report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns of text.
    #[default]
    Table,
    /// A Markdown table.
    Markdown,
    /// A JSON array with an object for each case.
    Json,
}

impl Report {
    /// Whether every case that was run passed or is known to differ.
    pub fn is_success(&self) -> bool {
        let is_failure = |outcome: &Outcome| matches!(outcome, Outcome::Failed { .. } | Outcome::NotImplemented { .. });
        !self.cases.iter().any(|case| is_failure(&case.outcome))
    }

    /// The numbers of the cases that are listed as known to differ but passed.
    pub fn obsolete_differences(&self) -> Vec<u8> {
        let obsolete = self.cases.iter().filter(|case| case.is_known_difference && case.outcome == Outcome::Passed);
        obsolete.map(|case| case.number).collect()
    }

    /// Renders the report as text that ends with a line feed.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Markdown => self.markdown(),
            Format::Json => format!("{:#}\n", Value::from_iter(self.cases.iter().map(CaseReport::json))),
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let _ = writeln!(text, "{:>2}  {:<15}  {}", case.number, case.outcome.to_string(), case.title);
            for line in case.remarks() {
                let _ = writeln!(text, "                     {line}");
            }
        }
        text + "\n" + &self.summary() + "\n"
    }

    fn markdown(&self) -> String {
        let mut text = "| case | result | | |\n| --: | --- | --- | --- |\n".to_owned();
        for case in &self.cases {
            let remarks = case.remarks().join("; ").replace('|', "\\|").replace(['\n', '\r'], " ");
            let _ = writeln!(text, "| {} | {} | {} | {remarks} |", case.number, case.outcome, case.title);
        }
        text + "\n" + &self.summary() + "\n"
    }

    /// The number of each outcome, and the obsolete entries of the list.
    fn summary(&self) -> String {
        let results = ["passed", "not implemented", "known to differ", "FAILED", "not run"];
        let count = |result: &str| self.cases.iter().filter(|case| case.outcome.to_string() == result).count();
        let counts = results.iter().map(|result| format!("{} {result}", count(result))).collect::<Vec<_>>().join(", ");
        match self.obsolete_differences().as_slice() {
            [] => counts,
            numbers => format!("{counts}\nlisted as known to differ, but passed: {numbers:?}"),
        }
    }
}

impl CaseReport {
    fn remarks(&self) -> Vec<String> {
        let details = match &self.outcome {
            Outcome::Passed => None,
            Outcome::NotImplemented { message } => Some(format!("response: {message}")),
            Outcome::Failed { expected, actual } => Some(format!("expected {expected}; got {actual}")),
            Outcome::KnownToDiffer { reason } | Outcome::NotRun { reason } => Some(reason.clone()),
        };
        details.into_iter().chain(self.note.map(str::to_owned)).map(|remark| remark.replace('\n', " ")).collect()
    }

    fn json(&self) -> Value {
        json!({
            "case": self.number,
            "title": self.title,
            "result": self.outcome.to_string().to_lowercase(),
            "remarks": self.remarks(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let (title, note) = ("a title", None);
        let case =
            |number, outcome, is_known_difference| CaseReport { number, title, outcome, note, is_known_difference };
        let failed = Outcome::Failed { expected: "202".into(), actual: "a | b\nc".into() };
        let mut cases = vec![
            case(1, Outcome::Passed, true),
            case(2, failed, false),
            case(3, Outcome::KnownToDiffer { reason: "a reason".into() }, true),
            case(4, Outcome::NotRun { reason: "needs --python".into() }, false),
            case(5, Outcome::NotImplemented { message: "not here".into() }, false),
        ];
        cases[3].note = Some("simulated");
        Report { cases }
    }

    #[test]
    fn a_table_shows_what_was_expected_and_what_was_received() {
        let expected = " 1  passed           a title
 2  FAILED           a title
                     expected 202; got a | b c
 3  known to differ  a title
                     a reason
 4  not run          a title
                     needs --python
                     simulated
 5  not implemented  a title
                     response: not here

1 passed, 1 not implemented, 1 known to differ, 1 FAILED, 1 not run
listed as known to differ, but passed: [1]
";
        assert_eq!(report().render(Format::Table), expected);
    }

    #[test]
    fn markdown_cells_are_escaped() {
        let text = report().render(Format::Markdown);
        assert!(text.contains("| 2 | FAILED | a title | expected 202; got a \\| b c |\n"), "{text}");
    }

    #[test]
    fn json_has_an_object_for_each_case() {
        let cases: Value = serde_json::from_str(&report().render(Format::Json)).unwrap();
        assert_eq!(cases[1]["result"], "failed");
        assert_eq!(cases[3]["remarks"], json!(["needs --python", "simulated"]));
    }

    #[test]
    fn a_failed_or_unimplemented_case_is_no_success() {
        let mut report = report();
        assert!(!report.is_success());
        report.cases.remove(1);
        assert!(!report.is_success());
        report.cases.pop();
        assert!(report.is_success());
    }
}
