#![doc = include_str!("../README.md")]

mod escape;
mod log_writer;

use std::panic;
use std::thread;
use std::time::{Duration, Instant};

pub use escape::MAX_LINE_BYTES;
pub use log_writer::{LogWriter, MAX_QUEUED_BYTES, stderr, stdout};

/// The longest wait for lines to be written when the process ends.
pub const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// Waits up to [`FLUSH_TIMEOUT`] when it is dropped, until the lines of both outputs have been written.
#[derive(Debug)]
#[must_use = "lines are flushed when it is dropped"]
pub struct FlushOnDrop;

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        log_writer::flush(Instant::now() + FLUSH_TIMEOUT);
    }
}

/// Writes panics to standard error by [`stderr`]. The default hook writes directly, and blocks when the reader of standard error stalls.
pub fn write_panics_to_stderr() {
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        stderr().write_line(&format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>")));
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            backtrace.to_string().lines().for_each(|line| stderr().write_line(line));
        }
    }));
}
