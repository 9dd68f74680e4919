//! What the identity store needs of a storage service: small files that are changed only under a condition, and the errors of that.

use std::fmt;

use async_trait::async_trait;

/// Many times the size of a file that this module writes.
pub(super) const MAX_FILE_BYTES: usize = 4 * 1_024;

/// What the identity store needs of a storage service.
#[async_trait]
pub(super) trait FileStore: fmt::Debug + Send + Sync {
    /// The file `name`, or at least its first [`MAX_FILE_BYTES`] and one byte.
    async fn get(&self, name: &str) -> Result<Option<StoredFile>, StoreError>;

    /// Creates the file; [`StoreError::Conflict`] if there is one.
    async fn put_if_absent(&self, name: &str, content: Vec<u8>) -> Result<(), StoreError>;

    /// Replaces `previous`; [`StoreError::Conflict`] if the file is no longer the same.
    async fn replace_if_unchanged(&self, name: &str, content: Vec<u8>, previous: &StoredFile)
    -> Result<(), StoreError>;

    /// Deletes `previous`, if it has not been deleted yet; [`StoreError::Conflict`] if the file is no longer the same.
    async fn delete_if_unchanged(&self, name: &str, previous: &StoredFile) -> Result<(), StoreError>;
}

pub(super) struct StoredFile {
    pub(super) content: Vec<u8>,
    /// The `ETag` of a blob.
    pub(super) etag: Option<String>,
}

/// Shows nothing: the content is an identity or a key.
impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredFile(***)")
    }
}

/// Why a call of the identity store failed, in words for the operator.
///
/// Nothing of the underlying errors is included: they contain addresses, account names and response texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The container does not admit the identity or SAS.
    #[error(
        "the store of identities refuses the identity or SAS; give the app's identity the role Storage Blob Data Contributor on the container, or set a new SAS URL"
    )]
    Denied,
    /// There is no access token for the container at the moment.
    #[error("the store of identities cannot be called: there is no token of the app's identity")]
    NoToken,
    /// There is no access token for the container until the configuration is changed.
    #[error(
        "the store of identities cannot be called: the app's identity gets no token; turn on an identity for this app, or check ChatIdentityStore__clientId"
    )]
    NoIdentity,
    /// The container does not exist.
    #[error("the store of identities is not there; create the container that ChatIdentityStore names")]
    NoContainer,
    /// Lost the race against a concurrent writer.
    #[error("the store of identities changed meanwhile")]
    Conflict,
    /// A file has not the format of this module.
    #[error("the store of identities holds a file that is none of this app's; look at what else writes there")]
    Unreadable,
    /// The store does not carry out the call, for a reason that stays.
    #[error(
        "the store of identities rejects the call; look at the container that ChatIdentityStore names, or at the permissions of the folder .chat/identities"
    )]
    Rejected,
    /// There was no response.
    #[error("the store of identities cannot be reached")]
    Unreachable,
    /// Any other failure.
    #[error("the store of identities failed")]
    Failed,
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Self::NoToken | Self::Conflict | Self::Unreachable | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_does_not_print() {
        let file = StoredFile { content: b"hush".to_vec(), etag: Some("hush".to_owned()) };
        assert_eq!(format!("{file:?}"), "StoredFile(***)");
    }

    #[test]
    fn what_only_the_operator_can_correct_is_not_retryable() {
        use StoreError::{
            Conflict, Denied, Failed, NoContainer, NoIdentity, NoToken, Rejected, Unreachable, Unreadable,
        };
        for (errors, is_retryable) in [
            (&[Denied, NoContainer, NoIdentity, Rejected, Unreadable][..], false),
            (&[Conflict, Failed, NoToken, Unreachable], true),
        ] {
            assert!(errors.iter().all(|error| error.is_retryable() == is_retryable), "{errors:?}");
        }
    }
}
