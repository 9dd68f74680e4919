//! Why nobody is let in with a token. Nothing of the token is repeated.

use std::fmt;
use std::time::Duration;

use crate::no_keys::NoKeys;

/// Why a token does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is not good, and will not be.
    Invalid(Invalid),
    /// It is good, but not for this.
    InsufficientScope,
    /// That cannot be told: the keys are not there to check it with.
    NoKeys {
        /// Why not.
        why: NoKeys,
        /// How long it takes until they are asked for again.
        wait: Duration,
    },
}

/// What is wrong with it, for who brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalid {
    /// It is no JSON Web Token, or lacks what each of Entra's has.
    Malformed,
    /// It is signed in another way than RS256, or not at all.
    Algorithm,
    /// It is not signed by the tenant.
    Signature,
    /// It is from another issuer, or of another tenant.
    Issuer,
    /// It is for another app.
    Audience,
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It is about nobody: an app has it for itself.
    NoUser,
}

impl From<Invalid> for Error {
    fn from(why: Invalid) -> Self {
        Self::Invalid(why)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is no access token of Microsoft Entra ID",
            Self::Algorithm => "it is not signed with RS256",
            Self::Signature => "no key of the tenant has signed it",
            Self::Issuer => "it is of another tenant",
            Self::Audience => "it is for another app",
            Self::Expired => "it has ended",
            Self::NotYetValid => "it has not begun",
            Self::NoUser => "it is about no user",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "the access token cannot be used: {why}"),
            Self::InsufficientScope => f.write_str("the access token lacks the scope"),
            Self::NoKeys { .. } => f.write_str("the access token cannot be checked"),
        }
    }
}

impl std::error::Error for Invalid {}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoKeys { why, .. } => Some(why),
            Self::Invalid(_) | Self::InsufficientScope => None,
        }
    }
}
