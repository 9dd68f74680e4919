//! How a case ends.
//!
//! A case stops at the first thing that is not as it should be: one sentence about what was expected, one about what came. Nothing that
//! opens a door is in either, since `service::Secrets` goes over both before anybody sees them.

use std::fmt::{self, Display};

use serde::Serialize;

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service does it.
    Passed,
    /// The service says that it does not do it: 501, with these words.
    Refused {
        /// The words of the service.
        said: String,
    },
    /// The service does something else.
    Failed {
        /// What it should have done.
        expected: String,
        /// What it did.
        came: String,
    },
    /// The service does something else, and its list of known differences says why.
    KnownToDiffer {
        /// The reason, from the list.
        why: String,
    },
    /// Nobody asked.
    NotRun {
        /// What was missing.
        why: String,
    },
}

/// Why a case did not get to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Refused { said: String },
    Failed { expected: String, came: String },
    NotRun { why: String },
}

/// What each step of a case returns.
pub(crate) type Verdict<T = ()> = Result<T, Stop>;

impl Stop {
    pub(crate) fn failed(expected: impl Display, came: impl Display) -> Self {
        Self::Failed { expected: expected.to_string(), came: came.to_string() }
    }

    pub(crate) fn needs(what: impl Display) -> Self {
        Self::NotRun { why: format!("needs {what}") }
    }

    /// The same, with where in the case it happened.
    pub(crate) fn at(self, place: impl Display) -> Self {
        match self {
            Self::Failed { expected, came } => {
                Self::Failed { expected: format!("{place}: {expected}"), came }
            }
            other => other,
        }
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused { said } => Self::Refused { said },
            Stop::Failed { expected, came } => Self::Failed { expected, came },
            Stop::NotRun { why } => Self::NotRun { why },
        }
    }
}

impl From<reqwest::Error> for Stop {
    fn from(error: reqwest::Error) -> Self {
        // The address of a request can carry a token.
        Self::failed("an answer", causes(&error.without_url()))
    }
}

/// A failure down to its first cause.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}

/// Two things that have to be equal; a failure shows both as JSON.
pub(crate) fn same<T: PartialEq + Serialize>(what: impl Display, expected: T, came: T) -> Verdict {
    if expected == came {
        return Ok(());
    }
    let shown = |value: &T| serde_json::to_string(value).unwrap_or_default();
    Err(Stop::failed(format_args!("{what}: {}", shown(&expected)), shown(&came)))
}

/// Something that has to be so; `came` says what is so instead.
pub(crate) fn holds(so: bool, expected: impl Display, came: impl Display) -> Verdict {
    if so { Ok(()) } else { Err(Stop::failed(expected, came)) }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "emulated",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "FAILED",
            Self::KnownToDiffer { .. } => "known to differ",
            Self::NotRun { .. } => "not run",
        })
    }
}
