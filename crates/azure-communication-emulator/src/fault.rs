//! Fault injection: a `Fault` makes the next matching request fail with a chosen status.
//!
//! Faults apply before all checks, so a failed request has changed nothing and may succeed when it is repeated.

use std::collections::VecDeque;

use axum::http::StatusCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::error::ApiError;
use crate::identity_api::Operation;

/// The maximum number of pending faults.
const MAX_PENDING_FAULTS: usize = 1_024;

/// A failure that a test injects into the next matching request.
///
/// ```
/// use azure_communication_emulator::{Fault, Operation};
///
/// let throttle_issue = Fault::throttled(Some(1)).on(Operation::Issue);
/// assert_eq!(throttle_issue, Fault::new(429)?.retry_after(1).on(Operation::Issue));
/// # Ok::<(), azure_communication_emulator::InvalidFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    #[serde(deserialize_with = "deserialize_status")]
    status: u16,
    retry_after: Option<u32>,
    operation: Option<Operation>,
}

impl Fault {
    /// Fails the next request with a status.
    ///
    /// # Errors
    ///
    /// [`InvalidFault`] when the status is not 400 to 599.
    pub fn new(status: u16) -> Result<Self, InvalidFault> {
        if (400..600).contains(&status) {
            Ok(Self { status, retry_after: None, operation: None })
        } else {
            Err(InvalidFault(()))
        }
    }

    /// Fails the next request with 429, and `Retry-After` in seconds if given.
    pub fn throttled(retry_after: Option<u32>) -> Self {
        Self { status: 429, retry_after, operation: None }
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Restricts the fault to the next request for `operation`.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    fn matches(&self, operation: Option<Operation>) -> bool {
        self.operation.is_none() || self.operation == operation
    }
}

impl From<Fault> for ApiError {
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
        Self::new(status, code, "A test injected this failure.").with_retry_after(fault.retry_after)
    }
}

/// The error of [`Fault::new`]: the status is not 400 to 599.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the status of a fault must be 400 to 599")]
pub struct InvalidFault(());

fn deserialize_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    Fault::new(u16::deserialize(deserializer)?).map(|fault| fault.status).map_err(D::Error::custom)
}

/// The error of [`Emulator::inject`](crate::Emulator::inject): 1,024 faults are pending.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} faults are pending; send requests or clear them", MAX_PENDING_FAULTS)]
pub struct TooManyFaults(());

/// The pending faults, oldest first.
#[derive(Default)]
pub(crate) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) -> Result<(), TooManyFaults> {
        if self.0.len() == MAX_PENDING_FAULTS {
            return Err(TooManyFaults(()));
        }
        self.0.push_back(fault);
        Ok(())
    }

    /// Removes and returns the oldest fault that matches a request.
    pub(crate) fn take(&mut self, operation: Option<Operation>) -> Option<Fault> {
        let at = self.0.iter().position(|fault| fault.matches(operation))?;
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
    fn a_fault_stays_pending_until_its_operation() {
        let mut faults = Faults::default();
        let for_issue = Fault::throttled(None).on(Operation::Issue);
        faults.push(for_issue.clone()).unwrap();
        faults.push(Fault::new(500).unwrap()).unwrap();
        assert_eq!(faults.take(Some(Operation::Create)), Fault::new(500).ok());
        assert_eq!(faults.take(Some(Operation::Create)), None);
        assert_eq!(faults.take(Some(Operation::Issue)), Some(for_issue));
        assert_eq!(faults.take(Some(Operation::Issue)), None);
    }

    #[test]
    fn the_number_of_pending_faults_is_limited() {
        let mut faults = Faults::default();
        let fault = Fault::throttled(Some(1));
        for _ in 0..MAX_PENDING_FAULTS {
            faults.push(fault.clone()).unwrap();
        }
        assert!(faults.push(fault.clone()).is_err());
        faults.clear();
        assert!(faults.push(fault).is_ok());
    }

    #[test]
    fn a_fault_has_an_error_status() {
        for status in [0, 200, 399, 600] {
            assert!(Fault::new(status).is_err(), "{status}");
        }
        let json = r#"{"status":429,"retryAfter":1,"operation":"issue"}"#;
        let expected = Fault::throttled(Some(1)).on(Operation::Issue);
        assert_eq!(serde_json::from_str::<Fault>(json).unwrap(), expected);
        assert!(serde_json::from_str::<Fault>(r#"{"status":200}"#).is_err());
    }
}
