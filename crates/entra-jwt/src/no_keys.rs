//! Why a tenant's keys are not there: what was asked for, and what was wrong. Nothing of an answer but its status.

use std::fmt;

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKeys {
    document: Document,
    why: Why,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The OpenID metadata of the tenant.
    Metadata,
    /// The keys that they lead to.
    Keys,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nobody answered.
    Unreachable,
    /// The time for both documents was up.
    TimedOut,
    /// The answer was no: its status.
    Answered(u16),
    /// It is none, or none of this tenant.
    Unusable,
    /// Nobody asks any more: the runtime has ended in which that was done.
    Ended,
}

impl NoKeys {
    pub(crate) fn new(document: Document, why: Why) -> Self {
        Self { document, why }
    }

    /// What was asked for.
    #[must_use]
    pub fn document(&self) -> Document {
        self.document
    }

    /// What was wrong.
    #[must_use]
    pub fn why(&self) -> Why {
        self.why
    }
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.document {
            Document::Metadata => "the OpenID metadata of the tenant ",
            Document::Keys => "the signing keys of the tenant ",
        })?;
        match self.why {
            Why::Unreachable => f.write_str("cannot be reached"),
            Why::TimedOut => f.write_str("did not come in time"),
            Why::Answered(status) => write!(f, "answered {status}; check the ids of tenant and cloud"),
            Why::Unusable => f.write_str("are not what was agreed; check the ids of tenant and cloud"),
            Why::Ended => f.write_str("are asked for by nobody any more"),
        }
    }
}

impl std::error::Error for NoKeys {}
