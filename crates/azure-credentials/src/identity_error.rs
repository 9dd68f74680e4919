//! What can be wrong with the description of an identity, in words that do not repeat it.

use std::fmt;

/// What is wrong with the description of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The client id is none.
    InvalidClientId,
    /// The tenant is neither an id nor a domain name.
    InvalidTenantId,
    /// The secret of an application is empty.
    MissingClientSecret,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidClientId => {
                "the client id must be that of an identity or application: letters, digits and dashes"
            }
            Self::InvalidTenantId => "the tenant must be its id or its domain name",
            Self::MissingClientSecret => "an application needs its client secret",
        })
    }
}

impl std::error::Error for IdentityError {}
