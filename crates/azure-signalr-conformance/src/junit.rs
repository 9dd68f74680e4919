//! The report as JUnit XML, in the form that Jenkins, GitHub and GitLab read.
//!
//! The name of a `testcase` is the id of the case, so that a history of results survives changes of titles.
//! <https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>

use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::case_result::Outcome;
use crate::report::CaseReport;

const SUITE: &str = "signalr-conformance";

/// Renders the cases as XML that ends with a line feed. Characters that XML cannot hold are left out.
pub(crate) fn render(cases: &[CaseReport]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, cases).expect("writing to a vector cannot fail");
    let xml = String::from_utf8(writer.into_inner()).expect("all texts are UTF-8");
    xml.chars().filter(|&letter| is_valid(letter)).chain(['\n']).collect()
}

/// <https://www.w3.org/TR/xml/#charsets>
fn is_valid(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn write(writer: &mut Writer<Vec<u8>>, cases: &[CaseReport]) -> io::Result<()> {
    let count = |element| cases.iter().filter(|case| element_of(&case.outcome) == element).count().to_string();
    let time = seconds(cases.iter().map(|case| case.duration).sum());
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suite = writer.create_element("testsuite").with_attributes([
        ("name", SUITE),
        ("tests", cases.len().to_string().as_str()),
        ("failures", &count(Some("failure"))),
        ("errors", "0"),
        ("skipped", &count(Some("skipped"))),
        ("time", &time),
    ]);
    suite.write_inner_content(|writer| cases.iter().try_for_each(|case| write_case(writer, case)))?;
    Ok(())
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &CaseReport) -> io::Result<()> {
    let time = seconds(case.duration);
    let attributes = [("name", case.info.id), ("classname", SUITE), ("time", &time)];
    writer.create_element("testcase").with_attributes(attributes).write_inner_content(|writer| {
        if let (Some(element), Some(details)) = (element_of(&case.outcome), case.details()) {
            let (result, message) = (case.outcome.to_string().to_lowercase(), details.replace(['\n', '\r'], " "));
            let attributes = [("type", result.as_str()), ("message", &message)];
            writer.create_element(element).with_attributes(attributes).write_empty()?;
        }
        let note = case.note.map(|note| format!(" ({note})")).unwrap_or_default();
        let text = format!("case {}: {}{note}", case.info.number, case.info.title);
        writer.create_element("system-out").write_text_content(BytesText::new(&text))?;
        Ok(())
    })?;
    Ok(())
}

/// The element that says why a case did not pass.
fn element_of(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Passed => None,
        Outcome::Failed { .. } | Outcome::NotImplemented { .. } => Some("failure"),
        Outcome::KnownToDiffer { .. } | Outcome::NotRun { .. } => Some("skipped"),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CaseInfo;

    fn rendered(cases: &[(&'static str, Outcome)]) -> String {
        let report = |(number, (id, outcome)): (u8, &(&'static str, Outcome))| CaseReport {
            info: CaseInfo { number, id, title: "a <title> & more" },
            outcome: outcome.clone(),
            duration: Duration::from_millis(1250),
            note: (number == 1).then_some("simulated"),
            is_known_difference: false,
        };
        render(&(1..).zip(cases).map(report).collect::<Vec<_>>())
    }

    #[test]
    fn each_outcome_has_its_element() {
        let failed = Outcome::Failed { expected: "202".into(), actual: "<a b=\"c\">'&'</a>\nand more".into() };
        let xml = rendered(&[
            ("passed-case", Outcome::Passed),
            ("failed-case", failed),
            ("missing-case", Outcome::NotImplemented { message: "not here".into() }),
            ("known-case", Outcome::KnownToDiffer { reason: "a reason".into() }),
            ("skipped-case", Outcome::NotRun { reason: "needs --python".into() }),
        ]);
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="signalr-conformance" tests="5" failures="2" errors="0" skipped="2" time="6.250">
  <testcase name="passed-case" classname="signalr-conformance" time="1.250">
    <system-out>case 1: a &lt;title&gt; &amp; more (simulated)</system-out>
  </testcase>
  <testcase name="failed-case" classname="signalr-conformance" time="1.250">
    <failure type="failed" message="expected 202; got &lt;a b=&quot;c&quot;&gt;&apos;&amp;&apos;&lt;/a&gt; and more"/>
    <system-out>case 2: a &lt;title&gt; &amp; more</system-out>
  </testcase>
  <testcase name="missing-case" classname="signalr-conformance" time="1.250">
    <failure type="not implemented" message="response: not here"/>
    <system-out>case 3: a &lt;title&gt; &amp; more</system-out>
  </testcase>
  <testcase name="known-case" classname="signalr-conformance" time="1.250">
    <skipped type="known to differ" message="a reason"/>
    <system-out>case 4: a &lt;title&gt; &amp; more</system-out>
  </testcase>
  <testcase name="skipped-case" classname="signalr-conformance" time="1.250">
    <skipped type="not run" message="needs --python"/>
    <system-out>case 5: a &lt;title&gt; &amp; more</system-out>
  </testcase>
</testsuite>
"#;
        assert_eq!(xml, expected);
    }

    #[test]
    fn characters_that_xml_cannot_hold_are_left_out() {
        let actual = "{}\u{1e}\u{0}\u{1b}\u{fffe}\u{ffff}ü 🎈\t]]>".to_owned();
        let xml = rendered(&[("a", Outcome::Failed { expected: "x".into(), actual })]);
        assert!(xml.contains("message=\"expected x; got {}ü 🎈\t]]&gt;\""), "{xml}");
    }
}
