//! The report of a run, as a table for a terminal, in Markdown, in JSON or as JUnit XML.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case_result::Outcome;
use crate::cases::CaseInfo;
use crate::junit;

/// A case and its outcome.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The number, id and title of the case.
    pub info: CaseInfo,
    /// The outcome.
    pub outcome: Outcome,
    /// How long the case ran.
    pub duration: Duration,
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
    /// JUnit XML, a `testcase` for each case.
    Junit,
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
        obsolete.map(|case| case.info.number).collect()
    }

    /// Renders the report as text that ends with a line feed.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Markdown => self.markdown(),
            Format::Json => format!("{:#}\n", Value::from_iter(self.cases.iter().map(CaseReport::json))),
            Format::Junit => junit::render(&self.cases),
        }
    }

    fn table(&self) -> String {
        let width = self.cases.iter().map(|case| case.info.id.len()).max().unwrap_or_default();
        let mut text = String::new();
        for case in &self.cases {
            let (info, outcome) = (case.info, case.outcome.to_string());
            let _ = writeln!(text, "{:>3}  {outcome:<15}  {:<width$}  {}", info.number, info.id, info.title);
            for line in case.remarks() {
                let _ = writeln!(text, "                      {line}");
            }
        }
        text + "\n" + &self.summary() + "\n"
    }

    fn markdown(&self) -> String {
        let mut text = "| case | | result | | |\n| --: | --- | --- | --- | --- |\n".to_owned();
        for case in &self.cases {
            let CaseInfo { number, id, title } = case.info;
            let remarks = case.remarks().join("; ").replace('|', "\\|").replace(['\n', '\r'], " ");
            let _ = writeln!(text, "| {number} | {id} | {} | {title} | {remarks} |", case.outcome);
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
        self.details().into_iter().chain(self.note.map(str::to_owned)).map(|remark| remark.replace('\n', " ")).collect()
    }

    /// Why the case did not pass.
    pub(crate) fn details(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Passed => None,
            Outcome::NotImplemented { message } => Some(format!("response: {message}")),
            Outcome::Failed { expected, actual } => Some(format!("expected {expected}; got {actual}")),
            Outcome::KnownToDiffer { reason } | Outcome::NotRun { reason } => Some(reason.clone()),
        }
    }

    fn json(&self) -> Value {
        json!({
            "case": self.info.number,
            "id": self.info.id,
            "title": self.info.title,
            "seconds": self.duration.as_secs_f64(),
            "result": self.outcome.to_string().to_lowercase(),
            "remarks": self.remarks(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let case = |number, id, outcome, is_known_difference| {
            let info = CaseInfo { number, id, title: "a title" };
            CaseReport { info, outcome, duration: Duration::from_millis(1500), note: None, is_known_difference }
        };
        let failed = Outcome::Failed { expected: "202".into(), actual: "a | b\nc".into() };
        let mut cases = vec![
            case(1, "first", Outcome::Passed, true),
            case(2, "second", failed, false),
            case(3, "third", Outcome::KnownToDiffer { reason: "a reason".into() }, true),
            case(4, "fourth", Outcome::NotRun { reason: "needs --python".into() }, false),
            case(100, "hundredth", Outcome::NotImplemented { message: "not here".into() }, false),
        ];
        cases[3].note = Some("simulated");
        Report { cases }
    }

    #[test]
    fn a_table_shows_what_was_expected_and_what_was_received() {
        let expected = "  1  passed           first      a title
  2  FAILED           second     a title
                      expected 202; got a | b c
  3  known to differ  third      a title
                      a reason
  4  not run          fourth     a title
                      needs --python
                      simulated
100  not implemented  hundredth  a title
                      response: not here

1 passed, 1 not implemented, 1 known to differ, 1 FAILED, 1 not run
listed as known to differ, but passed: [1]
";
        assert_eq!(report().render(Format::Table), expected);
    }

    #[test]
    fn markdown_cells_are_escaped() {
        let text = report().render(Format::Markdown);
        assert!(text.contains("| 2 | second | FAILED | a title | expected 202; got a \\| b c |\n"), "{text}");
    }

    #[test]
    fn json_has_an_object_for_each_case() {
        let cases: Value = serde_json::from_str(&report().render(Format::Json)).unwrap();
        assert_eq!((&cases[1]["case"], &cases[1]["id"]), (&json!(2), &json!("second")));
        assert_eq!((&cases[1]["result"], &cases[1]["seconds"]), (&json!("failed"), &json!(1.5)));
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
