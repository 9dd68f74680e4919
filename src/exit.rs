//! Failures that end a binary of this project, and their exit codes.

use std::error::Error;
use std::io;

use log_writer::FLUSH_TIMEOUT;

use crate::config::{ConfigError, ConfigErrors};
use crate::error::with_causes;
use crate::shutdown::StopReason;

/// The exit code after which the Functions host starts a handler again at once, without counting it as a failure. After 0 it never would,
/// and every request would fail.
const RESTART: u8 = 200;

/// The exit code of a handler that stops for `reason`; `is_watched` says whether a Functions host can start it again.
///
/// Ctrl-C reaches the host too, which ends as well.
pub fn stop_code(reason: StopReason, is_watched: bool) -> u8 {
    match reason {
        StopReason::Terminate if is_watched => RESTART,
        StopReason::Terminate | StopReason::Interrupt | StopReason::ParentExited => 0,
    }
}

/// A failure that ends the process. [`Display`](std::fmt::Display) is what standard error shows.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The command line is wrong, or the program was started in the wrong place: what to do instead.
    #[error("{0}")]
    Usage(String),
    /// The settings cannot be used.
    #[error("the settings cannot be used{}", lines(.0))]
    Config(Vec<ConfigError>),
    /// Another process listens on the port: which port, and what changes it.
    #[error("{0}")]
    PortTaken(String),
    /// Any other failure.
    #[error("{}", with_causes(&**.0))]
    Other(Box<dyn Error + Send + Sync>),
}

impl ExitError {
    /// A failure to listen on `port`; `setting` is the option or variable that changes the port.
    pub fn bind(port: u16, setting: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                Self::PortTaken(format!("port {port} is taken; stop what listens there or change {setting}"))
            }
            _ => Self::other(error),
        }
    }

    /// A failure of no other kind, which exits with 70.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The exit code, by the numbers of `sysexits.h`. It is never 0: the Functions host does not restart a handler that exits with 0.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::PortTaken(_) => 69,
            Self::Other(_) => 70,
            Self::Config(_) => 78,
        }
    }

    /// Writes the failure to standard error, after the name of the program. Waits at most [`FLUSH_TIMEOUT`] for it.
    pub fn print(&self, program: &str) {
        let stderr = log_writer::stderr();
        format!("{program}: {self}").lines().for_each(|line| stderr.write_line(line));
        stderr.flush(FLUSH_TIMEOUT);
    }
}

impl From<ConfigError> for ExitError {
    fn from(problem: ConfigError) -> Self {
        Self::Config(vec![problem])
    }
}

impl From<ConfigErrors> for ExitError {
    fn from(unusable: ConfigErrors) -> Self {
        Self::Config(unusable.problems)
    }
}

fn lines(problems: &[ConfigError]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_starts_a_terminated_handler_again_and_no_other() {
        use StopReason::{Interrupt, ParentExited, Terminate};
        for (reason, is_watched, code) in [
            (Terminate, true, 200),
            (Terminate, false, 0),
            (Interrupt, true, 0),
            (Interrupt, false, 0),
            (ParentExited, true, 0),
            (ParentExited, false, 0),
        ] {
            assert_eq!(stop_code(reason, is_watched), code, "{reason:?}, watched: {is_watched}");
        }
    }

    #[test]
    fn case_15_no_failure_exits_with_0() {
        let failures = [
            ExitError::Config(Vec::new()),
            ExitError::bind(7071, "--api-port", io::ErrorKind::AddrInUse.into()),
            ExitError::bind(7071, "--api-port", io::ErrorKind::PermissionDenied.into()),
            ExitError::other("the server ended by itself"),
            ExitError::Usage(String::new()),
        ];
        assert_eq!(failures.map(|failure| failure.code()), [78, 69, 70, 70, 64]);
    }
}
