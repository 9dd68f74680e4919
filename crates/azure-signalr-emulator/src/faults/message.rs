//! Faults that strike messages on their way to clients.
//!
//! A fault for a hub counts what is sent to the hub or to anyone in it, once each, however many receive it; a fault for a
//! connection counts what that one receives.

use serde::Serialize;

/// Which messages are treated, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MessageFault {
    /// As hubs are compared.
    pub(crate) hub: String,
    /// Only for this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<String>,
    #[serde(rename = "effect")]
    pub(crate) treatment: Treatment,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Treatment {
    /// Nothing is wrong with it.
    #[serde(skip)]
    Deliver,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the next one.
    Reorder,
    /// It does not arrive.
    Drop,
}

impl MessageFault {
    pub(super) fn is_for_hub(&self, hub: &str) -> bool {
        self.connection.is_none() && self.hub == hub
    }

    pub(super) fn is_for_connection(&self, hub: &str, connection: &str) -> bool {
        self.connection.as_deref() == Some(connection) && self.hub == hub
    }
}
