//! Panics with a standard error that is not read: this test starts itself once more, as the program that panics.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what fails in a test should fail the test")]

use std::io::Read as _;
use std::panic::catch_unwind;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

const TIMEOUT: Duration = Duration::from_secs(20);
/// Set in the program that panics.
const PANICS: &str = "LOG_WRITER_TEST_PANICS";

#[test]
fn a_panic_is_a_line_and_waits_for_no_reader() {
    if env::var_os(PANICS).is_some() {
        let _flush = log_writer::FlushOnDrop;
        log_writer::write_panics_to_stderr();
        // More than fit into a pipe.
        (0..2_000).for_each(|number| drop(catch_unwind(|| panic!("number {number}\nis \u{1b}[2J forged"))));
        return;
    }
    let (mut reader, writer) = io::pipe().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--nocapture", "--test-threads=1"]).env(PANICS, "1").env("RUST_BACKTRACE", "0");
    let mut child = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    // It has the other copy of the pipe's end.
    drop(command);
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > TIMEOUT => {
                child.kill().unwrap();
                panic!("the program still runs");
            }
            None => thread::park_timeout(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "{status}");
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    let first = printed.lines().next().unwrap();
    assert!(first.starts_with("thread '") && first.ends_with("\\nnumber 0\\nis \\u001b[2J forged"), "{first}");
}
