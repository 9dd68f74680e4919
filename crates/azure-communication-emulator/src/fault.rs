//! Failures a test asks for: the next request gets one instead of its answer.
//!
//! They come before anything is checked, so nothing has happened when a caller sees one, and a repeated request may succeed.

use std::collections::VecDeque;
use std::fmt;

use axum::http::StatusCode;
use serde::Deserialize;

use crate::Operation;
use crate::refusal::Refusal;

/// Most faults that wait.
const MOST: usize = 1_024;

/// One failure, for one request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Described")]
pub struct Fault {
    status: u16,
    retry_after: Option<u32>,
    operation: Option<Operation>,
}

impl Fault {
    /// Answers the next request with a status.
    ///
    /// # Errors
    ///
    /// [`InvalidFault`] when the status is not one of failure, 400 to 599.
    pub fn new(status: u16) -> Result<Self, InvalidFault> {
        if (400..600).contains(&status) {
            Ok(Self { status, retry_after: None, operation: None })
        } else {
            Err(InvalidFault(()))
        }
    }

    /// 429, as a caller above its quota gets it; seconds to wait, where the answer is to name them.
    #[must_use]
    pub fn throttled(retry_after: Option<u32>) -> Self {
        Self { status: 429, retry_after, operation: None }
    }

    /// The same, naming seconds to wait in `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same, waiting for the next request for `operation` and letting others pass.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    fn is_for(&self, asked: Option<Operation>) -> bool {
        self.operation.is_none() || self.operation == asked
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = match fault.status {
            401 => "Denied",
            403 => "Forbidden",
            404 => "NotFound",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            500.. => "InternalServerError",
            _ => "BadRequest",
        };
        Self::new(status, code, "A test asked for this failure.").retry_after(fault.retry_after)
    }
}

/// The status is not one of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFault(());

impl fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the status of a fault is 400 to 599")
    }
}

impl std::error::Error for InvalidFault {}

/// A fault as it is described in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Described {
    status: u16,
    retry_after: Option<u32>,
    operation: Option<Operation>,
}

impl TryFrom<Described> for Fault {
    type Error = InvalidFault;

    fn try_from(described: Described) -> Result<Self, InvalidFault> {
        let Described { status, retry_after, operation } = described;
        Ok(Self { retry_after, operation, ..Self::new(status)? })
    }
}

/// As many faults wait as may. The one that was not taken would have been the next to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooManyFaults(());

impl fmt::Display for TooManyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MOST} faults wait already; let requests use them up, or clear them")
    }
}

impl std::error::Error for TooManyFaults {}

/// The faults that wait, first come, first served.
#[derive(Default)]
pub(crate) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) -> Result<(), TooManyFaults> {
        if self.0.len() == MOST {
            return Err(TooManyFaults(()));
        }
        self.0.push_back(fault);
        Ok(())
    }

    /// The fault for a request, which is over with that.
    pub(crate) fn next(&mut self, asked: Option<Operation>) -> Option<Fault> {
        let at = self.0.iter().position(|fault| fault.is_for(asked))?;
        self.0.remove(at)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_its_operation() {
        let mut faults = Faults::default();
        let for_issue = Fault::throttled(None).on(Operation::Issue);
        faults.push(for_issue.clone()).unwrap();
        faults.push(Fault::new(500).unwrap()).unwrap();
        assert_eq!(faults.next(Some(Operation::Create)), Fault::new(500).ok());
        assert_eq!(faults.next(Some(Operation::Create)), None);
        assert_eq!(faults.next(Some(Operation::Issue)), Some(for_issue));
        assert_eq!(faults.next(Some(Operation::Issue)), None);
    }

    #[test]
    fn the_queue_has_an_end() {
        let mut faults = Faults::default();
        let fault = Fault::throttled(Some(1));
        for _ in 0..MOST {
            faults.push(fault.clone()).unwrap();
        }
        assert!(faults.push(fault.clone()).is_err());
        faults.clear();
        assert!(faults.push(fault).is_ok());
    }

    #[test]
    fn a_fault_is_a_failure() {
        for status in [0, 200, 399, 600] {
            assert!(Fault::new(status).is_err(), "{status}");
        }
        let described = r#"{"status":429,"retryAfter":1,"operation":"issue"}"#;
        let expected = Fault::throttled(Some(1)).on(Operation::Issue);
        assert_eq!(serde_json::from_str::<Fault>(described).unwrap(), expected);
        assert!(serde_json::from_str::<Fault>(r#"{"status":200}"#).is_err());
    }
}
