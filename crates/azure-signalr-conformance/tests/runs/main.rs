//! Runs of the suite against servers of these tests.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test; clippy exempts only functions marked as tests")]

mod event_stream;

use azure_signalr_conformance::ConnectionString;

/// The text of a connection string for a service on this port.
fn connection_text(port: u16) -> String {
    format!("Endpoint=http://127.0.0.1;Port={port};AccessKey=key;Version=1.0;")
}

fn connection_string(port: u16) -> ConnectionString {
    connection_text(port).parse().unwrap()
}
