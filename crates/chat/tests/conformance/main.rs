//! All numbered cases against the real binary: `chat emulator`, asked by the suite that anyone can point at any service.
//!
//! It takes the published clients, as `.ci/setup` installs them, and more than a minute; so it is run by name: see `.ci/e2e`.

mod supervised;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use azure_signalr_conformance::{Format, Known, Options, Outcome, Report, Upstream, run};
use azure_signalr_emulator::{Emulator, Options as EmulatorOptions};
use tokio::net::TcpListener;

use supervised::{Supervised, free_port};

/// More would be another service.
const MOST_DIFFERENCES: usize = 3;

/// What only an emulator without stateful reconnect can be asked.
const WITHOUT_STATEFUL: u8 = 85;

fn known() -> Known {
    include_str!("known.txt").parse().unwrap()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

async fn asked(emulator: &Supervised, upstream: Upstream) -> Report {
    let options = Options {
        known: known(),
        upstream: Some(upstream),
        restart_command: Some(emulator.restart_command()),
        node_modules: Some(repository("tests/e2e/node_modules")),
        python: Some(repository(".venv/bin/python")),
        ..Options::new(emulator.connection_string().parse().unwrap())
    };
    run(options, |_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_is_emulated_or_known_to_differ() {
    let port = free_port();
    let emulator = Supervised::start(&["--upstream", "settings.json"]);
    let settings = emulator.folder().join("settings.json");
    let report =
        asked(&emulator, Upstream { host: "localhost".to_owned(), port, settings: Some(settings) }).await;
    let bad = |number: u8, outcome: &Outcome| match outcome {
        Outcome::Passed | Outcome::KnownToDiffer { .. } => false,
        Outcome::NotRun { .. } => number != WITHOUT_STATEFUL,
        Outcome::Refused { .. } | Outcome::Failed { .. } => true,
    };
    let bad: Vec<u8> =
        report.rows.iter().filter(|row| bad(row.number, &row.outcome)).map(|row| row.number).collect();
    assert!(
        bad.is_empty(),
        "cases {bad:?}; `.ci/setup` installs clients that are missing\n{}",
        report.write(Format::Table)
    );
    assert_eq!(report.rows.len(), 91);
    assert!(report.listed_in_vain().is_empty(), "take {:?} off known.txt", report.listed_in_vain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_stateful_reconnect_in_vain_does_without() {
    let options = EmulatorOptions { stateful_reconnect: false, ..EmulatorOptions::default() };
    let emulator = Emulator::new(options);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connection = emulator.connection_string(socket.local_addr().unwrap().port());
    let service = tokio::spawn(axum::serve(socket, emulator.router()).into_future());
    let options = Options {
        cases: WITHOUT_STATEFUL.to_string().parse().unwrap(),
        node_modules: Some(repository("tests/e2e/node_modules")),
        ..Options::new(connection.parse().unwrap())
    };
    let report = run(options, |_| ()).await.unwrap();
    service.abort();
    assert_eq!(report.rows[0].outcome, Outcome::Passed);
}

#[test]
fn the_list_of_differences_is_short() {
    assert!(known().len() <= MOST_DIFFERENCES);
}
