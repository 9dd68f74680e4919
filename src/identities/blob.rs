//! The identity store in a blob container of Azure Storage, over the official client.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use async_trait::async_trait;
use azure_communication::Endpoint;
use azure_core::error::ErrorKind;
use azure_core::http::{ExponentialRetryOptions, RequestContent, RetryOptions};
use azure_credentials::TokenError;
use azure_http::CALL_TIMEOUT;
use azure_storage_blob::models::{BlobClientDeleteOptions, BlobClientDownloadOptions, BlockBlobClientUploadOptions};
use azure_storage_blob::{BlobClient, BlobContainerClient};
use tokio::time::timeout;

use super::IdentityStore;
use super::file_store::{FileStore, MAX_FILE_BYTES, StoreError, StoredFile};
use crate::blob_container::ContainerConnection;
use crate::config::Container;

/// Far more than an identity or an error takes.
const MAX_RESPONSE_BYTES: usize = 64 * 1_024;
const MAX_RETRIES: u32 = 3;
/// No retry starts later than this after the first attempt, in seconds.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

impl IdentityStore {
    /// The identities of `resource` in `container`. With an identity, its first token is requested at once.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be built.
    ///
    /// # Panics
    ///
    /// With an identity, outside a tokio runtime.
    pub fn in_container(container: &Container, resource: &Endpoint) -> azure_core::Result<Self> {
        let retry = ExponentialRetryOptions {
            max_retries: MAX_RETRIES,
            max_total_elapsed: RETRY_TIMEOUT.try_into().expect("a few seconds"),
            max_delay: MAX_RETRY_DELAY.try_into().expect("a second"),
            ..Default::default()
        };
        let connection = ContainerConnection::new(container, RetryOptions::exponential(retry), MAX_RESPONSE_BYTES)?;
        Ok(Self::new(BlobStore(connection.client()?), resource))
    }
}

struct BlobStore(BlobContainerClient);

/// Shows nothing: the address of the container may contain a SAS.
impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobStore(***)")
    }
}

impl BlobStore {
    /// Calls the blob `name`; `None` if there is no such blob.
    async fn call<T>(
        &self,
        name: &str,
        call: impl AsyncFnOnce(BlobClient) -> azure_core::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        match timeout(CALL_TIMEOUT, call(self.0.blob_client(name))).await {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(error)) => store_error(&error).map_or(Ok(None), Err),
            Err(_late) => Err(StoreError::Unreachable),
        }
    }

    /// Uploads the blob `name`; `None` if the service responds that there is none.
    async fn upload(
        &self,
        name: &str,
        content: Vec<u8>,
        options: BlockBlobClientUploadOptions<'static>,
    ) -> Result<Option<()>, StoreError> {
        let content = RequestContent::from(content);
        let uploaded = self.call(name, async |blob| blob.upload(content, Some(options)).await).await?;
        Ok(uploaded.map(drop))
    }
}

#[async_trait]
impl FileStore for BlobStore {
    async fn get(&self, name: &str) -> Result<Option<StoredFile>, StoreError> {
        let options = BlobClientDownloadOptions { range: Some((..=MAX_FILE_BYTES).into()), ..Default::default() };
        let download = async |blob: BlobClient| {
            let blob = blob.download(Some(options)).await?;
            let etag = blob.properties.etag.map(|etag| etag.to_string());
            Ok(StoredFile { content: blob.body.collect().await?.to_vec(), etag })
        };
        self.call(name, download).await
    }

    async fn put_if_absent(&self, name: &str, content: Vec<u8>) -> Result<(), StoreError> {
        let options = BlockBlobClientUploadOptions { if_none_match: Some("*".into()), ..Default::default() };
        self.upload(name, content, options).await?.ok_or(StoreError::NoContainer)
    }

    async fn replace_if_unchanged(
        &self,
        name: &str,
        content: Vec<u8>,
        previous: &StoredFile,
    ) -> Result<(), StoreError> {
        let etag = previous.etag.clone().ok_or(StoreError::Failed)?;
        let options = BlockBlobClientUploadOptions { if_match: Some(etag.into()), ..Default::default() };
        self.upload(name, content, options).await?.ok_or(StoreError::Conflict)
    }

    async fn delete_if_unchanged(&self, name: &str, previous: &StoredFile) -> Result<(), StoreError> {
        let etag = previous.etag.clone().ok_or(StoreError::Failed)?;
        let options = BlobClientDeleteOptions { if_match: Some(etag.into()), ..Default::default() };
        self.call(name, async |blob| blob.delete(Some(options)).await).await.map(drop)
    }
}

/// `None` if there is no such blob.
fn store_error(error: &azure_core::Error) -> Option<StoreError> {
    Some(match error.kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            return from_response(u16::from(*status), error_code.as_deref());
        }
        ErrorKind::Credential => no_token(error),
        ErrorKind::Connection | ErrorKind::Io => StoreError::Unreachable,
        _ => StoreError::Failed,
    })
}

/// A token that may come later, or not without a change of configuration.
fn no_token(error: &azure_core::Error) -> StoreError {
    let cause = successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source())
        .find_map(|error| error.downcast_ref::<TokenError>());
    match cause {
        Some(error) if !error.is_retryable() => StoreError::NoIdentity,
        _ => StoreError::NoToken,
    }
}

/// Tells error responses apart by status and `x-ms-error-code`; `None` if there is no such blob.
fn from_response(status: u16, code: Option<&str>) -> Option<StoreError> {
    Some(match (status, code) {
        (404, Some("ContainerNotFound")) => StoreError::NoContainer,
        (404, _) => return None,
        (401 | 403, _) => StoreError::Denied,
        (409, None | Some("BlobAlreadyExists")) | (412, _) => StoreError::Conflict,
        // Others that pass are 409: a container or an account that is being created or deleted.
        (408 | 409 | 429, _) => StoreError::Failed,
        // A range of a file that is empty.
        (416, _) => StoreError::Unreadable,
        (400..=499, _) => StoreError::Rejected,
        _ => StoreError::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_responses_are_told_apart_by_status_and_code() {
        for (status, code, expected) in [
            (404, Some("BlobNotFound"), None),
            (404, None, None),
            (404, Some("ContainerNotFound"), Some(StoreError::NoContainer)),
            (401, Some("NoAuthenticationInformation"), Some(StoreError::Denied)),
            (403, Some("AuthorizationPermissionMismatch"), Some(StoreError::Denied)),
            (409, Some("BlobAlreadyExists"), Some(StoreError::Conflict)),
            (409, Some("ContainerBeingDeleted"), Some(StoreError::Failed)),
            (412, Some("ConditionNotMet"), Some(StoreError::Conflict)),
            (400, Some("InvalidAuthenticationInfo"), Some(StoreError::Rejected)),
            (405, Some("UnsupportedHttpVerb"), Some(StoreError::Rejected)),
            (416, Some("InvalidRange"), Some(StoreError::Unreadable)),
            (429, None, Some(StoreError::Failed)),
            (500, Some("InternalError"), Some(StoreError::Failed)),
            (503, Some("ServerBusy"), Some(StoreError::Failed)),
        ] {
            assert_eq!(from_response(status, code), expected, "{status} {code:?}");
        }
    }
}
