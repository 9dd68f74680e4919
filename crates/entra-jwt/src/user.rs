//! Whom a token is about.

use std::fmt;

/// Somebody who has signed in, as a token that is good tells of them.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub(crate) tenant_id: String,
    pub(crate) object_id: String,
    pub(crate) name: Option<String>,
}

impl User {
    /// Their tenant.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// Who they are in it: the same with every app, for as long as the account exists, and never somebody else's.
    #[must_use]
    pub fn object_id(&self) -> &str {
        &self.object_id
    }

    /// What they are called, mostly like an address. It can change and pass to somebody else: to be shown, not to be decided by.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// It shows nothing of the person.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(***)")
    }
}
