//! The command line: cases by number and by id, the list of cases, and the file for JUnit.

use std::fs;
use std::process::{Command, Output};

use crate::{connection_text, temporary_file};

fn suite(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalr-conformance"));
    command.args(arguments).env_remove("AzureSignalRConnectionString").output().unwrap()
}

fn text(output: &[u8]) -> &str {
    std::str::from_utf8(output).unwrap()
}

#[test]
fn the_list_has_number_id_and_title_and_needs_no_service() {
    let all = suite(&["--list"]);
    assert!(all.status.success(), "{}", text(&all.stderr));
    let lines: Vec<&str> = text(&all.stdout).lines().collect();
    assert_eq!(lines.len(), 110);
    assert_eq!(lines[67], " 68  health                        health: without a token");
    let selected = suite(&["--list", "--case", "health,1"]);
    assert_eq!(text(&selected.stdout).lines().collect::<Vec<_>>(), [lines[0], lines[67]]);
}

#[test]
fn results_are_reported_by_number_and_id_on_the_terminal_and_in_junit_xml() {
    let (connection, file) = (connection_text(1), temporary_file());
    // Two cases that need no service.
    let arguments = [
        "--case",
        "2,connection-string-port",
        "--junit",
        file.to_str().unwrap(),
        "--format",
        "json",
        connection.as_str(),
    ];
    let run = suite(&arguments);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let cases: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&cases[0]["case"], &cases[0]["id"]), (&1.into(), &"connection-string-port".into()));
    assert_eq!((&cases[1]["case"], &cases[1]["id"]), (&2.into(), &"connection-string-case".into()));
    assert!(text(&run.stderr).contains("  1  connection-string-port        passed"), "{}", text(&run.stderr));
    let xml = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(
        xml.contains(r#"<testcase name="connection-string-port" classname="signalr-conformance" time="0.0"#),
        "{xml}"
    );
    assert!(xml.contains("case 2: connection string: names in any letter case, keys with `=`"), "{xml}");
}

#[test]
fn a_junit_file_that_cannot_be_written_is_an_error() {
    let (connection, folder) = (connection_text(1), std::env::temp_dir());
    let run = suite(&["--case", "1", "--junit", folder.to_str().unwrap(), connection.as_str()]);
    assert_eq!(run.status.code(), Some(74), "{}", text(&run.stderr));
}

#[test]
fn a_run_needs_a_connection_string_and_known_cases() {
    assert_eq!(suite(&["--case", "1"]).status.code(), Some(64));
    let unknown = suite(&["--list", "--case", "no-such-case"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("`no-such-case` is not a case"), "{}", text(&unknown.stderr));
}
