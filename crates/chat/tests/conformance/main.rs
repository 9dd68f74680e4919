//! Runs the conformance suite against the emulator: all cases against the process `chat emulator`, and in this process those that
//! need an emulator with other options.
//!
//! The full run needs the published clients, which `.ci/setup` installs, and takes more than a minute: `.ci/e2e` runs it by name.

mod emulator_process;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use azure_signalr_conformance::{
    CASE_NUMBERS, CaseReport, Format, KnownDifferences, Options, Outcome, Report, UpstreamOptions, run,
};
use azure_signalr_emulator::{Emulator, Options as EmulatorOptions};
use tokio::net::TcpListener;

use emulator_process::{EmulatorProcess, free_port};

const MAX_KNOWN_DIFFERENCES: usize = 3;

/// The case that needs a service without stateful reconnect.
const CASE_WITHOUT_STATEFUL_RECONNECT: &str = "javascript-not-stateful";

/// The case that needs a service with few connections.
const CASE_OF_THE_CONNECTION_LIMIT: &str = "connection-limit";

fn known_differences() -> KnownDifferences {
    include_str!("known_differences.txt").parse().unwrap()
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

async fn run_all(emulator: &EmulatorProcess, upstream: UpstreamOptions) -> Report {
    let options = Options {
        known_differences: known_differences(),
        upstream: Some(upstream),
        restart_command: Some(emulator.restart_command()),
        node_modules: Some(in_repository("tests/e2e/node_modules")),
        python: Some(in_repository(".venv/bin/python")),
        ..Options::new(emulator.connection_string().parse().unwrap())
    };
    run(options, |_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_passes_or_is_known_to_differ() {
    let port = free_port();
    let emulator = EmulatorProcess::start(&["--upstream", "settings.json"]);
    let settings_file = Some(emulator.folder().join("settings.json"));
    let upstream = UpstreamOptions { host: "localhost".to_owned(), port, settings_file };
    let report = run_all(&emulator, upstream).await;
    let is_failure = |case: &CaseReport| match case.outcome {
        Outcome::Passed | Outcome::KnownToDiffer { .. } => false,
        Outcome::NotRun { .. } => {
            ![CASE_WITHOUT_STATEFUL_RECONNECT, CASE_OF_THE_CONNECTION_LIMIT].contains(&case.info.id)
        }
        Outcome::NotImplemented { .. } | Outcome::Failed { .. } => true,
    };
    let failures: Vec<&str> = report.cases.iter().filter(|case| is_failure(case)).map(|case| case.info.id).collect();
    assert!(
        failures.is_empty(),
        "cases {failures:?} failed; `.ci/setup` installs missing clients\n{}",
        report.render(Format::Table)
    );
    assert_eq!(report.cases.len(), CASE_NUMBERS.count());
    let obsolete = report.obsolete_differences();
    assert!(obsolete.is_empty(), "remove {obsolete:?} from known_differences.txt");
}

/// Runs a case against an emulator in this process, and expects it to pass.
async fn expect_pass(case: &str, options: EmulatorOptions, max_connections: Option<usize>) {
    let emulator = Emulator::new(options);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connection = emulator.connection_string(socket.local_addr().unwrap().port());
    let service = tokio::spawn(async move { emulator.serve(vec![socket], std::future::pending()).await });
    let options = Options {
        cases: case.parse().unwrap(),
        max_connections,
        node_modules: Some(in_repository("tests/e2e/node_modules")),
        ..Options::new(connection.parse().unwrap())
    };
    let report = run(options, |_| ()).await.unwrap();
    service.abort();
    assert_eq!(report.cases[0].outcome, Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_connects_when_stateful_reconnect_is_not_offered() {
    let options = EmulatorOptions { stateful_reconnect: false, ..EmulatorOptions::default() };
    expect_pass(CASE_WITHOUT_STATEFUL_RECONNECT, options, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_beyond_the_limit_are_told_when_to_come_back() {
    let options = EmulatorOptions { max_connections: 20, ..EmulatorOptions::default() };
    expect_pass(CASE_OF_THE_CONNECTION_LIMIT, options, Some(20)).await;
}

#[test]
fn the_list_of_known_differences_is_short() {
    assert!(known_differences().len() <= MAX_KNOWN_DIFFERENCES);
}
