//! Why the store of identities does not do what it is asked, in words for whoever runs the app.
//!
//! The library's own errors hold addresses, which hold names of accounts and what stands for people, and whatever text came back. None of it is
//! kept.

use std::error::Error;
use std::fmt;
use std::iter::successors;

use object_store::client::{HttpError, HttpErrorKind};

/// A failed call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Key or identity may not do this.
    Denied,
    /// There is no such container.
    NoContainer,
    /// Somebody else was quicker.
    Conflict,
    /// What is in there is not ours.
    Unreadable,
    /// No answer came.
    Unreachable,
    /// All else, getting a token of the identity included.
    Failed,
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Unreachable | Self::Failed)
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        match &error {
            object_store::Error::NotFound { .. } => Self::NoContainer,
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
                Self::Conflict
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Denied
            }
            error if is_silence(error) => Self::Unreachable,
            _ => Self::Failed,
        }
    }
}

fn is_silence(error: &object_store::Error) -> bool {
    let first: &(dyn Error + 'static) = error;
    successors(Some(first), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<HttpError>())
        .any(|error| !matches!(error.kind(), HttpErrorKind::Decode | HttpErrorKind::Unknown))
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of identities ")?;
        f.write_str(match self {
            Self::Denied => {
                "refuses the key or identity; give the app's identity the role Storage Blob Data Contributor on the container"
            }
            Self::NoContainer => "is not there; create the container that ChatIdentityStore names",
            Self::Conflict => "changed meanwhile",
            Self::Unreadable => "holds a file that is none of this app's; look at what else writes there",
            Self::Unreachable => "cannot be reached",
            Self::Failed => "failed, or there is no token of the app's identity to call it with",
        })
    }
}

impl Error for StoreError {}
