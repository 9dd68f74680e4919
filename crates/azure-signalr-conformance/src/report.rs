//! What a run came to, as a table for a terminal, in Markdown or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::outcome::Outcome;

/// One case and what it came to.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number.
    pub number: u8,
    /// What it is about.
    pub title: &'static str,
    /// What it came to.
    pub outcome: Outcome,
    /// What the suite played because it could not run it, if anything.
    pub plays: Option<&'static str>,
    /// Whether the list of known differences names it.
    pub listed: bool,
}

/// All cases that were selected, by number.
#[derive(Clone, Debug)]
pub struct Report {
    /// A row for each.
    pub rows: Vec<Row>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns for a terminal.
    #[default]
    Table,
    /// A table for a page.
    Markdown,
    /// An array of objects.
    Json,
}

impl Report {
    /// Whether everything that was run passed, or is known to differ.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| !matches!(row.outcome, Outcome::Failed { .. } | Outcome::Refused { .. }))
    }

    /// The cases that are listed as known to differ, and do not.
    #[must_use]
    pub fn listed_in_vain(&self) -> Vec<u8> {
        let in_vain = self.rows.iter().filter(|row| row.listed && row.outcome == Outcome::Passed);
        in_vain.map(|row| row.number).collect()
    }

    /// The report as text, with a line end at its end.
    #[must_use]
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Markdown => self.markdown(),
            Format::Json => format!("{:#}\n", Value::from_iter(self.rows.iter().map(Row::json))),
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let _ = writeln!(text, "{:>2}  {:<15}  {}", row.number, row.outcome.to_string(), row.title);
            for line in row.remarks() {
                let _ = writeln!(text, "                     {line}");
            }
        }
        text + "\n" + &self.summary() + "\n"
    }

    fn markdown(&self) -> String {
        let mut text = "| case | result | | |\n| --: | --- | --- | --- |\n".to_owned();
        for row in &self.rows {
            let remarks = row.remarks().join("; ").replace('|', "\\|").replace(['\n', '\r'], " ");
            let _ = writeln!(text, "| {} | {} | {} | {remarks} |", row.number, row.outcome, row.title);
        }
        text + "\n" + &self.summary() + "\n"
    }

    /// How many of each, and what is to be taken off the list.
    fn summary(&self) -> String {
        let results = ["emulated", "refused", "known to differ", "FAILED", "not run"];
        let count = |result: &str| self.rows.iter().filter(|row| row.outcome.to_string() == result).count();
        let counts =
            results.iter().map(|result| format!("{} {result}", count(result))).collect::<Vec<_>>().join(", ");
        match self.listed_in_vain().as_slice() {
            [] => counts,
            numbers => format!("{counts}\nlisted as known to differ, but emulated: {numbers:?}"),
        }
    }
}

impl Row {
    fn remarks(&self) -> Vec<String> {
        let came = match &self.outcome {
            Outcome::Passed => None,
            Outcome::Refused { said } => Some(format!("said {said}")),
            Outcome::Failed { expected, came } => Some(format!("expected {expected}; came {came}")),
            Outcome::KnownToDiffer { why } | Outcome::NotRun { why } => Some(why.clone()),
        };
        came.into_iter()
            .chain(self.plays.map(str::to_owned))
            .map(|remark| remark.replace('\n', " "))
            .collect()
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
        let row = |number, outcome, listed| Row { number, title: "a title", outcome, plays: None, listed };
        let failed = Outcome::Failed { expected: "202".into(), came: "a | b\nc".into() };
        let mut rows = vec![
            row(1, Outcome::Passed, true),
            row(2, failed, false),
            row(3, Outcome::KnownToDiffer { why: "so it is".into() }, true),
            row(4, Outcome::NotRun { why: "needs --python".into() }, false),
            row(5, Outcome::Refused { said: "not here".into() }, false),
        ];
        rows[3].plays = Some("played, not run");
        Report { rows }
    }

    #[test]
    fn a_table_says_what_was_expected_and_what_came() {
        let expected = " 1  emulated         a title
 2  FAILED           a title
                     expected 202; came a | b c
 3  known to differ  a title
                     so it is
 4  not run          a title
                     needs --python
                     played, not run
 5  refused          a title
                     said not here

1 emulated, 1 refused, 1 known to differ, 1 FAILED, 1 not run
listed as known to differ, but emulated: [1]
";
        assert_eq!(report().write(Format::Table), expected);
    }

    #[test]
    fn in_markdown_nothing_breaks_out_of_its_cell() {
        let text = report().write(Format::Markdown);
        assert!(text.contains("| 2 | FAILED | a title | expected 202; came a \\| b c |\n"), "{text}");
    }

    #[test]
    fn json_is_an_object_for_each_case() {
        let rows: Value = serde_json::from_str(&report().write(Format::Json)).unwrap();
        assert_eq!(rows[1]["result"], "failed");
        assert_eq!(rows[3]["remarks"], json!(["needs --python", "played, not run"]));
    }

    #[test]
    fn what_failed_or_was_refused_is_not_good() {
        let mut report = report();
        assert!(!report.is_good());
        report.rows.remove(1);
        assert!(!report.is_good());
        report.rows.pop();
        assert!(report.is_good());
    }
}
