//! The doctor's report: one line for each finding, and below each problem a line that says how to fix it.
//!
//! Texts come partly from files and from responses: control characters, which could steer a terminal, are replaced here. Callers must
//! not put secrets into a finding.

use std::fmt;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    subject: String,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Ok(String),
    Problem { problem: String, fix: String },
    Skipped(String),
}

impl Finding {
    /// `subject` has no problem.
    pub(super) fn ok(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), outcome: Outcome::Ok(detail.into()) }
    }

    /// `subject` has a problem; `fix` is a command, or a setting and where it is.
    pub(super) fn problem(subject: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        let outcome = Outcome::Problem { problem: problem.into(), fix: fix.into() };
        Self { subject: subject.into(), outcome }
    }

    /// `subject` was not checked; `reason` says what would change that.
    pub(super) fn skipped(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { subject: subject.into(), outcome: Outcome::Skipped(reason.into()) }
    }

    pub(super) fn is_problem(&self) -> bool {
        matches!(self.outcome, Outcome::Problem { .. })
    }
}

/// `problems`, or `ok` if there are none.
pub(super) fn problems_or_ok(problems: Vec<Finding>, ok: impl FnOnce() -> Finding) -> Vec<Finding> {
    if problems.is_empty() { vec![ok()] } else { problems }
}

/// The findings about one part, under its title.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

/// All findings. `Display` is the printed report.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) sections: Vec<Section>,
}

impl Report {
    /// Whether there is no problem. Skipped checks are not problems.
    pub(super) fn passed(&self) -> bool {
        !self.findings().any(Finding::is_problem)
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings)
    }
}

/// Longer subjects do not widen the column.
const MAX_SUBJECT_WIDTH: usize = 28;

/// The shell variables of the deployment guide.
const GUIDE_VARIABLES: [&str; 4] = ["$group", "$signalr", "$page", "$api"];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Section { title, findings } in &self.sections {
            writeln!(f, "{title}")?;
            let widths = findings.iter().map(|finding| finding.subject.chars().count());
            let width = widths.filter(|width| *width <= MAX_SUBJECT_WIDTH).max().unwrap_or(0);
            for finding in findings {
                write_finding(f, finding, width)?;
            }
            writeln!(f)?;
        }
        self.write_summary(f)
    }
}

fn write_finding(f: &mut fmt::Formatter<'_>, finding: &Finding, width: usize) -> fmt::Result {
    let subject = printable(&finding.subject);
    match &finding.outcome {
        Outcome::Ok(detail) => writeln!(f, "  ok       {subject:width$}  {}", printable(detail)),
        Outcome::Skipped(reason) => writeln!(f, "  skipped  {subject:width$}  {}", printable(reason)),
        Outcome::Problem { problem, fix } => {
            writeln!(f, "  PROBLEM  {subject:width$}  {}", printable(problem))?;
            writeln!(f, "           {:width$}  fix: {}", "", printable(fix))
        }
    }
}

impl Report {
    fn write_summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut ok, mut problems, mut skipped, mut names_variables) = (0, 0, 0, false);
        for finding in self.findings() {
            match &finding.outcome {
                Outcome::Ok(_) => ok += 1,
                Outcome::Skipped(_) => skipped += 1,
                Outcome::Problem { fix, .. } => {
                    problems += 1;
                    names_variables |= GUIDE_VARIABLES.iter().any(|name| fix.contains(name));
                }
            }
        }
        match problems {
            0 => write!(f, "No problem found: {ok} ok, {skipped} skipped.")?,
            1 => write!(f, "1 problem found: {ok} ok, {skipped} skipped.")?,
            _ => write!(f, "{problems} problems found: {ok} ok, {skipped} skipped.")?,
        }
        if names_variables {
            write!(f, " Names with a $ are those of docs/deploy.md, \"The steps by hand\".")?;
        }
        Ok(())
    }
}

/// `text` with control and invisible formatting characters replaced.
fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        Report { sections: vec![Section { title: "project", findings }] }
    }

    #[test]
    fn a_report_is_aligned_and_ends_with_a_count() {
        let findings = vec![
            Finding::ok("host.json", "forwards"),
            Finding::problem("negotiate", "is missing", "git restore negotiate"),
            Finding::skipped("CORS", "give --page"),
        ];
        let expected = "project\n  ok       host.json  forwards\n  PROBLEM  negotiate  is missing\n                      fix: git restore negotiate\n  skipped  CORS       give --page\n\n1 problem found: 1 ok, 1 skipped.";
        assert_eq!(report(findings).to_string(), expected);
    }

    #[test]
    fn only_a_problem_fails_a_report() {
        assert!(report(vec![Finding::ok("a", ""), Finding::skipped("b", "")]).passed());
        assert!(!report(vec![Finding::ok("a", ""), Finding::problem("b", "", "")]).passed());
    }

    #[test]
    fn control_characters_are_replaced() {
        let printed = report(vec![Finding::problem("a\u{1b}[2J", "b\r\u{202e}", "c\n")]).to_string();
        assert!(printed.contains("a?[2J") && printed.contains("b??") && printed.contains("c?"), "{printed:?}");
    }

    #[test]
    fn a_fix_with_variables_of_the_guide_names_the_guide() {
        let printed = report(vec![Finding::problem("a", "b", "az x --resource-group $group")]).to_string();
        assert!(printed.contains("docs/deploy.md"), "{printed}");
    }
}
