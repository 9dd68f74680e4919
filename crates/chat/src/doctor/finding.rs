//! What the doctor says: a line for each thing it looked at, and under what is wrong the line that mends it.
//!
//! Texts come partly from files and from answers of strangers. What could steer a terminal is taken out here, in one place; that
//! no secret is among them is the business of whoever writes the text.

use std::fmt;

/// One thing that was looked at, or could have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    subject: String,
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Ok(String),
    Wrong { what: String, mend: String },
    NotLookedAt(String),
}

impl Finding {
    /// `subject` is as it should be; `what` says what that means.
    pub(super) fn ok(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Ok(what.into()) }
    }

    /// `subject` is wrong; `mend` is a command, or a setting and where it is.
    pub(super) fn wrong(
        subject: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Wrong { what: what.into(), mend: mend.into() } }
    }

    /// `subject` was left out; `why` says what would change that. Nothing is wrong by it.
    pub(super) fn not_looked_at(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::NotLookedAt(why.into()) }
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.verdict, Verdict::Wrong { .. })
    }
}

/// What was wrong with `subject`, as far as it was looked at; or else that it is fine.
pub(super) fn wrongs_or_ok(wrongs: Vec<Finding>, ok: impl FnOnce() -> Finding) -> Vec<Finding> {
    if wrongs.is_empty() { vec![ok()] } else { wrongs }
}

/// Findings about one part, under its name.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

/// All that was found. Its `Display` is what to print.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) sections: Vec<Section>,
}

impl Report {
    /// Whether nothing is wrong. What was not looked at is not wrong.
    #[must_use]
    pub(crate) fn is_well(&self) -> bool {
        !self.findings().any(Finding::is_wrong)
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings)
    }

    /// How many are fine, wrong, and not looked at.
    fn count(&self) -> [usize; 3] {
        self.findings().fold([0; 3], |mut counts, finding| {
            counts[match finding.verdict {
                Verdict::Ok(_) => 0,
                Verdict::Wrong { .. } => 1,
                Verdict::NotLookedAt(_) => 2,
            }] += 1;
            counts
        })
    }
}

/// Longer subjects stick out rather than push everybody else's text away.
const WIDEST_SUBJECT: usize = 28;

/// What the guide to deployment calls things.
const GUIDES_VARIABLES: [&str; 4] = ["$group", "$signalr", "$page", "$api"];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Section { title, findings } in &self.sections {
            writeln!(f, "{title}")?;
            let widths = findings.iter().map(|finding| finding.subject.chars().count());
            let width = widths.filter(|width| *width <= WIDEST_SUBJECT).max().unwrap_or(0);
            for finding in findings {
                write_finding(f, finding, width)?;
            }
            writeln!(f)?;
        }
        self.write_summary(f)
    }
}

fn write_finding(f: &mut fmt::Formatter<'_>, finding: &Finding, width: usize) -> fmt::Result {
    let subject = plain(&finding.subject);
    match &finding.verdict {
        Verdict::Ok(what) => writeln!(f, "  ok     {subject:width$}  {}", plain(what)),
        Verdict::NotLookedAt(why) => writeln!(f, "  -      {subject:width$}  not looked at: {}", plain(why)),
        Verdict::Wrong { what, mend } => {
            writeln!(f, "  WRONG  {subject:width$}  {}", plain(what))?;
            writeln!(f, "         {:width$}  mend: {}", "", plain(mend))
        }
    }
}

impl Report {
    fn write_summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ok, wrong, not_looked_at] = self.count();
        match wrong {
            0 => write!(f, "All is well: {ok} ok, {not_looked_at} not looked at.")?,
            _ => write!(f, "Not well: {wrong} wrong, {ok} ok, {not_looked_at} not looked at.")?,
        }
        let names_variables = |finding: &Finding| match &finding.verdict {
            Verdict::Wrong { mend, .. } => GUIDES_VARIABLES.iter().any(|name| mend.contains(name)),
            _ => false,
        };
        if self.findings().any(names_variables) {
            write!(f, " Names with a $ are those of docs/deploy.md, \"The steps by hand\".")?;
        }
        Ok(())
    }
}

/// The same without anything that is more than a character to look at.
fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
            Finding::wrong("negotiate", "is gone", "git restore negotiate"),
            Finding::not_looked_at("CORS", "give --page"),
        ];
        let expected = "project\n  ok     host.json  forwards\n  WRONG  negotiate  is gone\n                    mend: git restore negotiate\n  -      CORS       not looked at: give --page\n\nNot well: 1 wrong, 1 ok, 1 not looked at.";
        assert_eq!(report(findings).to_string(), expected);
    }

    #[test]
    fn only_what_is_wrong_makes_a_report_unwell() {
        assert!(report(vec![Finding::ok("a", ""), Finding::not_looked_at("b", "")]).is_well());
        assert!(!report(vec![Finding::ok("a", ""), Finding::wrong("b", "", "")]).is_well());
    }

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        let told = report(vec![Finding::wrong("a\u{1b}[2J", "b\r\u{202e}", "c\n")]).to_string();
        assert!(told.contains("a?[2J") && told.contains("b??") && told.contains("c?"), "{told:?}");
    }

    #[test]
    fn where_variables_of_the_guide_are_named_the_guide_is() {
        let told = report(vec![Finding::wrong("a", "b", "az x --resource-group $group")]).to_string();
        assert!(told.contains("docs/deploy.md"), "{told}");
    }
}
