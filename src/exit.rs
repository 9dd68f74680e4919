//! Why a binary of this project stops without being asked to, and its exit code.

use std::error::Error;
use std::fmt;
use std::io;

use crate::config::{ConfigError, ConfigErrors};

/// A failure that ends the process. [`Display`](fmt::Display) is what standard error shows.
#[derive(Debug)]
pub enum ExitError {
    /// The command line is wrong, or the program was started in the wrong place: what to do instead.
    Usage(String),
    /// The settings cannot be used.
    Config(Vec<ConfigError>),
    /// Another process listens on the port: which port, and what changes it.
    PortTaken(String),
    /// Any other failure.
    Other(Box<dyn Error + Send + Sync>),
}

impl ExitError {
    /// A failure to listen on `port`; `setting` is the option or variable that changes the port.
    #[must_use]
    pub fn bind(port: u16, setting: &str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                Self::PortTaken(format!("port {port} is taken; stop what listens there or change {setting}"))
            }
            _ => Self::other(error),
        }
    }

    /// Any other failure.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The exit code, by the numbers of `sysexits.h`. It is never 0: the Functions host does not restart a handler that exits with 0.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::PortTaken(_) => 69,
            Self::Other(_) => 70,
            Self::Config(_) => 78,
        }
    }

    /// Writes the failure to standard error, after the name of the program.
    #[expect(clippy::print_stderr, reason = "the process ends, and its log may not be read")]
    pub fn print(&self, program: &str) {
        eprintln!("{program}: {self}");
    }
}

impl From<ConfigErrors> for ExitError {
    fn from(unusable: ConfigErrors) -> Self {
        Self::Config(unusable.problems)
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(problems) => {
                f.write_str("the settings cannot be used")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Self::Usage(sentence) | Self::PortTaken(sentence) => f.write_str(sentence),
            Self::Other(error) => {
                error.fmt(f)?;
                let mut cause = error.source();
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
