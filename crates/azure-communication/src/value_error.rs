//! Why a text or number is not the value it should be.
//!
//! The value is not repeated: most of them are nobody else's business.

use std::fmt;

/// Why something is not a value the service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// Not a [`UserId`](crate::UserId).
    UserId,
    /// Not a [`Scope`](crate::Scope).
    Scope,
    /// Not a [`Lifetime`](crate::Lifetime).
    Lifetime,
    /// Not an [`EntraToken`](crate::EntraToken).
    EntraToken,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserId => {
                "a user id is 1 to 256 bytes of text without spaces or control characters, and not `.` or `..`"
            }
            Self::Scope => "a scope is 1 to 64 ASCII letters, digits and any of .-_, like `chat` or `voip.join`",
            Self::Lifetime => "an access token lives from 60 to 1440 minutes",
            Self::EntraToken => "a Microsoft Entra token is 1 to 16,384 visible ASCII characters",
        })
    }
}

impl std::error::Error for ValueError {}
