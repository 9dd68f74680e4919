//! Why the local stack could not be put together. All of it happens before anything is served.

use std::{fmt, io};

use super::function::FunctionError;

/// Why the local stack could not be put together.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Port { port: u16, option: &'static str, source: io::Error },
    Functions(FunctionError),
    Random(getrandom::Error),
}

impl Error {
    pub(super) fn port(port: u16, option: &'static str, source: io::Error) -> Self {
        Self(Kind::Port { port, option, source })
    }

    /// Whether a port could not be had, and another one might do.
    #[must_use]
    pub fn is_port(&self) -> bool {
        matches!(self.0, Kind::Port { .. })
    }
}

impl From<FunctionError> for Error {
    fn from(error: FunctionError) -> Self {
        Self(Kind::Functions(error))
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self(Kind::Random(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Port { port, option, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "port {port} is taken: end what listens there, or choose another with {option}")
            }
            Kind::Port { port, option, .. } => {
                write!(f, "cannot listen on port {port} of localhost: choose another with {option}")
            }
            Kind::Functions(_) => f.write_str("the functions cannot be hosted"),
            Kind::Random(_) => f.write_str("the operating system gives no random bytes for a session key"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Port { source, .. } => Some(source),
            Kind::Functions(error) => Some(error),
            Kind::Random(error) => Some(error),
        }
    }
}
