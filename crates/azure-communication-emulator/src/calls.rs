//! How often the service was called: what a test asks when it claims that something made no call.

use serde::Serialize;

use crate::Operation;

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Calls {
    /// Every request that came, whatever became of it.
    pub received: u64,
    /// Of these, those that were refused, faults included.
    pub refused: u64,
    /// Identities created.
    pub create: u64,
    /// Access tokens issued to identities that were there; those made with an identity count as its creation.
    pub issue: u64,
    /// Revocations carried out.
    pub revoke: u64,
    /// Deletions carried out.
    pub delete: u64,
    /// Teams tokens exchanged.
    pub exchange: u64,
}

impl Calls {
    /// Counts a request that was served, or was not.
    pub(crate) fn count(&mut self, served: Option<Operation>) {
        self.received += 1;
        *match served {
            None => &mut self.refused,
            Some(Operation::Create) => &mut self.create,
            Some(Operation::Issue) => &mut self.issue,
            Some(Operation::Revoke) => &mut self.revoke,
            Some(Operation::Delete) => &mut self.delete,
            Some(Operation::Exchange) => &mut self.exchange,
        } += 1;
    }
}
