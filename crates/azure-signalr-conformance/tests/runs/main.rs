//! Runs of the suite against servers of these tests, and of its binary.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test; clippy exempts only functions marked as tests")]

mod command_line;
mod event_stream;
mod settings_file;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use azure_signalr_conformance::ConnectionString;

/// The text of a connection string for a service on this port.
fn connection_text(port: u16) -> String {
    format!("Endpoint=http://127.0.0.1;Port={port};AccessKey=key;Version=1.0;")
}

fn connection_string(port: u16) -> ConnectionString {
    connection_text(port).parse().unwrap()
}

/// A path that no other test uses.
fn temporary_file() -> PathBuf {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("signalr-conformance-{}-{number}", std::process::id()))
}
